"""The base of iterative attacks: problem, query and algorithm.

An `Algorithm` gives the starting points. Its `AlgorithmState` holds one row per sample and
proposes the next points. The caller queries the model and chooses the samples that continue:
`rampart.attacks.running` at one strength, `rampart.evaluation.engine.engine` at many strengths at
once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, get_args

from rampart.attacks.frozen import Model
from rampart.deferred import torch
from rampart.errors import InvalidArgument, UnknownName
from rampart.images_and_labels import require_classes
from rampart.input_gradients import input_gradient
from rampart.logits import all_finite
from rampart.losses import Loss, full_precision
from rampart.runtime import Noise
from rampart.threat import box, column, distance, project, round_inside
from rampart.tolerance import within
from rampart.units import Norm

if TYPE_CHECKING:
    from torch import Tensor

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
        begin: (N, C, H, W), points at which the first run begins; a row with a NaN begins as the
            attack chooses. None for all.
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
    begin: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def select(self, index: Tensor) -> Problem:
        """Return the problem for some samples; `index` is a mask or a list of positions."""
        return replace(
            self,
            images=self.images[index],
            targets=self.targets[index],
            eps=self.eps[index],
            noise=self.noise.select(index),
            begin=None if self.begin is None else self.begin[index],
        )

    def restart(self, number: int) -> Problem:
        """Return the problem with the noise of another restart, which begins as usual."""
        if not number:
            return self
        return replace(self, noise=self.noise.child("restart", number), begin=None)

    def wider(self, factor: float) -> Problem:
        """Return the problem with balls of `factor` times the radius."""
        return self if factor == 1 else replace(self, eps=self.eps * factor)

    def starting_at(self, usual: Tensor) -> Tensor:
        """Return the points at which a run begins: those of `begin`, and else the usual ones."""
        if self.begin is None:
            return usual
        known = ~self.begin.flatten(1).isnan().any(1)
        return torch.where(column(known, usual), self.project(self.begin), usual)

    def with_targets(self, targets: Tensor) -> Problem:
        """Return the problem with other targets."""
        return replace(self, targets=targets)

    @cached_property
    def box(self) -> tuple[Tensor, Tensor]:
        """The least and the largest pixels of the Linf ball inside the pixel box."""
        return box(self.images, self.eps)

    def project(self, points: Tensor) -> Tensor:
        """Return `points` projected onto ball and box."""
        if self.norm == "linf":
            return points.clamp(*self.box)
        return project(points, self.images, self.eps, self.norm)

    def project_(self, points: Tensor) -> Tensor:
        """Return `points` projected onto ball and box; the memory of `points` may be used."""
        return points.clamp_(*self.box) if self.norm == "linf" else self.project(points)

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

    def gradient(self, points: Tensor) -> Tensor:
        """Return the gradient of the loss alone, finite; costs one forward and one backward.

        Raises:
            ModelError: the gradient with respect to the pixels cannot be computed.
        """
        points = self.rounded(points).detach().requires_grad_()
        with torch.enable_grad():
            return input_gradient(self.loss.value(self.ask(points), self.targets), points)

    def query(self, points: Tensor, gradient: bool = True) -> Output:
        """Return the output at `points`; costs one forward, and one backward with `gradient`.

        Raises:
            ModelError: the gradient with respect to the pixels cannot be computed.
        """
        return query_together([(self, points)], gradient)[0]


def query_together(parts: Sequence[tuple[Problem, Tensor]], gradient: bool = True) -> list[Output]:
    """Return the output of each problem at its points, from one pass of the model that they share.

    Raises:
        ModelError: the gradient with respect to the pixels cannot be computed.
    """
    rounded = [problem.rounded(at) for problem, at in parts]
    points = rounded[0] if len(rounded) == 1 else torch.cat(rounded)
    points = points.detach().requires_grad_(gradient)
    sizes = [len(problem) for problem, _ in parts]
    with torch.set_grad_enabled(gradient):
        answers = torch.split(parts[0][0].ask(points), sizes)
        values = [
            problem.loss.value(logits, problem.targets)
            for (problem, _), logits in zip(parts, answers, strict=True)
        ]
        slopes = (
            input_gradient(torch.cat(values), points)
            if gradient
            # A view of one zero: nothing is written, because no step follows.
            else points.new_zeros(()).expand_as(points)
        )
    columns = (parts, values, torch.split(slopes, sizes), answers)
    return [
        _output(problem, value.detach(), slope, full_precision(logits.detach()))
        for (problem, _), value, slope, logits in zip(*columns, strict=True)
    ]


def _output(problem: Problem, value: Tensor, gradient: Tensor, logits: Tensor) -> Output:
    # Whatever the loss makes of them, no point is worse than one without finite logits.
    value = value.masked_fill(~all_finite(logits), torch.inf)
    return Output(value, problem.loss.is_adv(logits, problem.targets), gradient, logits)


@dataclass(frozen=True)
class Found:
    """The result of one run of an attack: points (N, C, H, W), value (N,), is_adv (N,)."""

    points: Tensor
    value: Tensor
    is_adv: Tensor

    def improve(self, index: Tensor, other: Found) -> Found:
        """Return the better result of this run and another run on the samples `index`."""
        own = rows(self, index)
        better = other.is_adv & ~own.is_adv
        better |= (other.is_adv == own.is_adv) & (other.value > own.value)
        chosen = (
            torch.where(column(better, new), new, old)
            for new, old in zip(vars(other).values(), vars(own).values(), strict=True)
        )
        return Found(
            *(
                old.index_copy(0, index, new)
                for old, new in zip(vars(self).values(), chosen, strict=True)
            )
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
        only_improves: whether a query that neither raises the loss nor succeeds changes nothing in
            the state but its age.
    """

    steps: int
    gradient: ClassVar[bool] = True
    minimum_norm: ClassVar[bool] = False
    only_improves: ClassVar[bool] = False

    @property
    def one_pass(self) -> bool:
        """Whether a query is one pass of the model, which other algorithms may share."""
        return True

    @abstractmethod
    def start(self, problem: Problem) -> Tensor:
        """Return the points of the first query."""

    def query(self, problem: Problem, points: Tensor, gradient: bool = True) -> Output:
        """Return the model's output at `points`.

        A method that needs more than one pass or gradient overrides this, and `one_pass`.
        """
        return self.read(problem, points, problem.query(points, gradient and self.gradient))

    def read(self, problem: Problem, points: Tensor, output: Output) -> Output:
        """Return the output as the method uses it; by default unchanged."""
        return output

    @abstractmethod
    def begin(self, problem: Problem, points: Tensor, output: Output) -> AlgorithmState:
        """Return the first state, after a query at `points`.

        `points` may be those of `start`, or other points of ball and box to continue from.
        """

    def count_queries(self, norm: Norm) -> int:
        """Return the number of queries in a run, the first one included."""
        return self.steps + 1

    def restart(self, number: int) -> Algorithm:
        """Return the algorithm of restart `number`; the first run is 0."""
        return self
