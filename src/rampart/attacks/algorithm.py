"""The base of iterative attacks: problem, query, early exit and restarts.

An `Algorithm` gives the starting points. Its `AlgorithmState` holds one row per sample and
proposes the next points. The caller queries the model and chooses the samples that continue:
`run_algorithm` at one strength, `rampart.evaluation.engine.engine` at many strengths at once.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args

import torch
from torch import Tensor

from rampart.attacks.frozen import Model
from rampart.errors import InvalidArgument, UnknownName
from rampart.images_and_labels import require_classes
from rampart.input_gradients import input_gradient
from rampart.logits import all_finite
from rampart.losses import Loss, full_precision
from rampart.runtime import Noise
from rampart.threat import column, distance, project, round_inside
from rampart.tolerance import within
from rampart.units import Norm

#: Which iterate is returned. "last": the last one. "best": the one with the highest loss.
#: "adversarial": the first adversarial one, else the one with the highest loss. A sample leaves the
#: batch at its first adversarial iterate, which saves passes and changes no other sample.
Iterate = Literal["last", "best", "adversarial"]

R = TypeVar("R", bound="Found | AlgorithmState")


def check_algorithm(steps: int, restarts: int, iterate: str) -> None:
    """Raise unless steps, restarts and iterate are valid."""
    if steps < 1:
        raise InvalidArgument("steps", steps, "at least 1")
    if restarts < 1:
        raise InvalidArgument("restarts", restarts, "at least 1")
    if iterate not in get_args(Iterate):
        raise UnknownName("iterate", iterate, get_args(Iterate))


def rows(record: R, index: Tensor) -> R:
    """Return the given samples of a dataclass whose fields are all tensors indexed by sample."""
    parts: dict[str, Any] = {f.name: getattr(record, f.name)[index] for f in fields(record)}
    return replace(record, **parts)


@dataclass(frozen=True)
class Output:
    """The output of the model at the points of one query.

    Attributes:
        value: (N,) loss, to be maximized; infinite where the logits are not all finite.
        is_adv: (N,) bool, whether the point is adversarial.
        gradient: (N, C, H, W), gradient of the value with respect to the pixels, finite; zero if
            not computed.
        logits: (N, K), in fp32 or better.
    """

    value: Tensor
    is_adv: Tensor
    gradient: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Problem:
    """The input of an attack: valid samples with eps > 0 and a frozen model.

    Attributes:
        model: pixels to logits, behind a guard (`rampart.guarded`).
        images: (N, C, H, W), pixels in [0, 1].
        targets: the targets of `loss`, one row per sample.
        eps: (N,), fraction of the pixel range.
        noise: one key per sample.
        loss: what to maximize.
        norm: norm of the ball.
        dtype: type of the caller's images, in which the model gets the points; None for that of
            `images`.
        classes: number of classes that the targets need; checked at every query.
    """

    model: Model
    images: Tensor
    targets: Tensor
    eps: Tensor
    noise: Noise
    loss: Loss
    norm: Norm
    dtype: torch.dtype | None = None
    classes: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def select(self, index: Tensor) -> "Problem":
        """Return the problem for some samples; `index` is a mask or a list of positions."""
        return replace(
            self,
            images=self.images[index],
            targets=self.targets[index],
            eps=self.eps[index],
            noise=self.noise.select(index),
        )

    def restart(self, number: int) -> "Problem":
        """Return the problem with the noise of another restart."""
        return replace(self, noise=self.noise.child("restart", number)) if number else self

    def with_targets(self, targets: Tensor) -> "Problem":
        """Return the problem with other targets."""
        return replace(self, targets=targets)

    def project(self, points: Tensor) -> Tensor:
        """Return `points` projected onto ball and box."""
        return project(points, self.images, self.eps, self.norm)

    def holds(self, points: Tensor) -> Tensor:
        """Return (N,) bool, whether each point lies in its ball, up to rounding."""
        return within(distance(points, self.images, self.norm), self.eps)

    def scaled(self, factor: float | Tensor) -> Tensor:
        """Return `factor` · eps in a shape that broadcasts over the images."""
        return column(self.eps * factor, self.images)

    def rounded(self, points: Tensor) -> Tensor:
        """Return the points as the caller will get them: in the ball in the caller's type."""
        if self.dtype in (None, points.dtype):
            return points
        return round_inside(points, self.images, self.dtype).to(points.dtype)

    def ask(self, points: Tensor) -> Tensor:
        """Return the logits (N, K) at `points`.

        Raises:
            InvalidArgument: a target is none of the K classes.
        """
        logits = self.model(points if self.dtype is None else points.to(self.dtype))
        require_classes(self.classes, logits.shape[1], "targets")
        return logits

    def query(self, points: Tensor, gradient: bool = True) -> Output:
        """Return the output at `points`; costs one forward, and one backward with `gradient`.

        Raises:
            ModelError: the gradient with respect to the pixels cannot be computed.
        """
        points = self.rounded(points).detach().requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            logits = self.ask(points)
            value = self.loss.value(logits, self.targets)
            slope = input_gradient(value, points) if gradient else torch.zeros_like(points)
        logits = full_precision(logits.detach())
        # Whatever the loss makes of them, no point is worse than one without finite logits.
        value = value.detach().masked_fill(~all_finite(logits), torch.inf)
        return Output(value, self.loss.is_adv(logits, self.targets), slope, logits)


@dataclass(frozen=True)
class Found:
    """The result of one run of an attack: points (N, C, H, W), value (N,), is_adv (N,)."""

    points: Tensor
    value: Tensor
    is_adv: Tensor

    def improve(self, index: Tensor, other: "Found") -> "Found":
        """Return the better result of this run and another run on the samples `index`."""
        better = other.is_adv & ~self.is_adv[index]
        better |= (other.is_adv == self.is_adv[index]) & (other.value > self.value[index])
        index, other = index[better], rows(other, better)
        return Found(
            self.points.index_copy(0, index, other.points),
            self.value.index_copy(0, index, other.value),
            self.is_adv.index_copy(0, index, other.is_adv),
        )


@dataclass(frozen=True)
class AlgorithmState(ABC):
    """What an algorithm remembers of each sample; every field is a tensor with one row per sample.

    Attributes:
        best: (N, C, H, W), the point with the highest loss so far.
        best_value: (N,), the loss there.
        age: (N,) int64, steps made; a run ends when it equals the steps of its `Algorithm`.
    """

    best: Tensor
    best_value: Tensor
    age: Tensor

    @abstractmethod
    def advance(self, problem: Problem) -> Tensor:
        """Return the next points to query."""

    @abstractmethod
    def observe(self, problem: Problem, points: Tensor, output: Output) -> Self:
        """Return the state after a query at `points`, which `advance` returned."""


class Algorithm(ABC):
    """One iterative attack method: where it starts and how it steps.

    Attributes:
        steps: the age at which a run ends.
        gradient: whether its queries need gradients.
        minimum_norm: whether the steps are independent of eps; one run then serves every strength
            and continues after a success.
    """

    steps: int
    gradient: ClassVar[bool] = True
    minimum_norm: ClassVar[bool] = False

    @abstractmethod
    def start(self, problem: Problem) -> Tensor:
        """Return the points of the first query."""

    def query(self, problem: Problem, points: Tensor, gradient: bool = True) -> Output:
        """Return the model's output at `points`.

        A method that needs more than one pass or gradient overrides this.
        """
        return problem.query(points, gradient and self.gradient)

    @abstractmethod
    def begin(self, problem: Problem, points: Tensor, output: Output) -> AlgorithmState:
        """Return the first state, after a query at `points`.

        `points` may be those of `start`, or other points of ball and box to continue from.
        """

    def count_queries(self, norm: Norm) -> int:
        """Return the number of queries in a run, the first one included."""
        return self.steps + 1

    def restart(self, number: int) -> "Algorithm":
        """Return the algorithm of restart `number`; the first run is 0."""
        return self


def run_algorithm(problem: Problem, algorithm: Algorithm, iterate: Iterate) -> Found:
    """Run an algorithm to its end; gradient ascent costs steps + 1 forwards and `steps` backwards.

    With "adversarial", a sample leaves the batch at its first adversarial iterate, the start
    included; this changes no other sample. A minimum-norm algorithm succeeds where its best point
    is misclassified and within eps.

    Args:
        problem: the samples.
        algorithm: the method.
        iterate: "best" or "adversarial".
    """
    if algorithm.minimum_norm:
        return _run_minimum_norm(problem, algorithm, iterate)
    tally = Tally(problem)
    points = algorithm.start(problem)
    output = algorithm.query(problem, points)
    state = algorithm.begin(problem, points, output)
    for left in reversed(range(algorithm.count_queries(problem.norm))):
        if iterate == "adversarial" and len(stay := tally.retire(points, output)) < len(problem):
            problem, state = problem.select(stay), rows(state, stay)
        if not left or not len(problem):
            break
        points = state.advance(problem)
        # The last query needs no gradient: no step follows.
        output = algorithm.query(problem, points, gradient=left > 1)
        state = state.observe(problem, points, output)
    return tally.close(state.best, state.best_value)


def _run_minimum_norm(problem: Problem, algorithm: Algorithm, iterate: Iterate) -> Found:
    """Find the nearest adversarial point; the best value is the negated distance."""
    tally = Tally(problem)
    points = algorithm.start(problem)
    state = algorithm.begin(problem, points, algorithm.query(problem, points))
    while len(problem):
        near = -state.best_value <= problem.eps
        over = (state.age >= algorithm.steps) | (near & (iterate == "adversarial"))
        out, stay = over.nonzero()[:, 0], (~over).nonzero()[:, 0]
        if len(out):
            tally.leave(out, stay, Found(state.best, state.best_value, near))
            problem, state = problem.select(stay), rows(state, stay)
        else:
            points = state.advance(problem)
            state = state.observe(problem, points, algorithm.query(problem, points))
    return tally.close(state.best, state.best_value)


class Tally:
    """The results of a batch whose samples finish at different times."""

    def __init__(self, problem: Problem) -> None:
        images = problem.images
        self._rows = torch.arange(len(images), device=images.device)
        self._found = Found(
            torch.empty_like(images),
            torch.empty(len(images), device=images.device, dtype=full_precision(images).dtype),
            torch.zeros(len(images), device=images.device, dtype=torch.bool),
        )

    def retire(self, points: Tensor, output: Output) -> Tensor:
        """Record the samples that are adversarial at `points`; return the other positions."""
        out, stay = output.is_adv.nonzero()[:, 0], (~output.is_adv).nonzero()[:, 0]
        if len(out):
            self.leave(out, stay, Found(points, output.value, output.is_adv))
        return stay

    def leave(self, out: Tensor, stay: Tensor, found: Found) -> None:
        """Record the samples at the positions `out` of the batch; those at `stay` continue."""
        index = self._rows[out]
        self._write(index, found.points[out], found.value[out])
        self._found.is_adv[index] = found.is_adv[out]
        self._rows = self._rows[stay]

    def close(self, points: Tensor, value: Tensor) -> Found:
        """Record the remaining samples; return the results of all."""
        self._write(self._rows, points, value)
        return self._found

    def _write(self, index: Tensor, points: Tensor, value: Tensor) -> None:
        self._found.points[index] = points
        self._found.value[index] = value.to(self._found.value.dtype)


def with_restarts(
    algorithm: Algorithm, problem: Problem, restarts: int, iterate: Iterate
) -> Tensor:
    """Return the best points of several runs; with "adversarial" only robust samples restart."""
    found = run_algorithm(problem, algorithm, iterate)
    for number in range(1, restarts):
        robust = ~found.is_adv if iterate == "adversarial" else torch.ones_like(found.is_adv)
        index = robust.nonzero()[:, 0]
        if not len(index):
            break
        again = run_algorithm(
            problem.restart(number).select(index), algorithm.restart(number), iterate
        )
        found = found.improve(index, again)
    return found.points
