"""APGD: gradient ascent with momentum that halves its step when progress stalls.

Croce & Hein 2020 (arXiv 2003.01690), algorithm 1, with the settings of AutoAttack's published
code where the two differ. One run of n steps for one sample:

    x = previous = best = random point on the sphere, projected;  length = 2 eps
    query the model at x: loss and gradient
    for step in 1..n:
        z = project(x + length * steepest(gradient))
        y = project(x + 0.75 (z - x) + 0.25 (x - previous))    # the first step is y = z
        query the model at y: loss and gradient
        previous, x = x, y
        if loss(y) > loss(best): best = y
        if the window of steps ends here:                      # a checkpoint
            few = at most 75 % of the window's steps raised the loss
            stuck = best is as before the window, and the last checkpoint did not halve
            if few or stuck: length = length / 2, x = best
            begin the next, shorter window
    return best

`Ascent.advance` computes y, `Ascent.observe` does the rest, and `run_algorithm` is the loop. The
state has one row per sample: strength, length and position in the window may differ within a
batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from rampart.attacks.algorithm import (
    Algorithm,
    AlgorithmState,
    Output,
    Problem,
    check_algorithm,
)
from rampart.attacks.base import ATTACKS, Attack
from rampart.attacks.running import with_restarts
from rampart.attacks.sparse import Phases, SparseAscent, wide_start
from rampart.attacks.stages import Stage
from rampart.attacks.steps import ascend, choose, require_different_runs, sphere_start
from rampart.deferred import torch
from rampart.errors import UnknownName
from rampart.losses import LOSSES
from rampart.threat import column
from rampart.units import Norm

if TYPE_CHECKING:
    from torch import Tensor

#: The starting point: random on the sphere, or the image itself.
ApgdStart = Literal["sphere", "none"]
#: Initial step length, as a multiple of eps.
FIRST_STEP = 2.0
#: Weight of the new step in the next displacement; the last displacement has the rest.
MOMENTUM = 0.75
#: A window in which at most this fraction of steps raised the loss halves the step.
RHO = 0.75


@ATTACKS.register("apgd")
@dataclass(frozen=True)
class Apgd(Attack):
    """Auto-PGD, which chooses its step size itself.

    n steps cost n + 1 forwards and n backwards (AutoAttack: n + 1 of both). With the losses "dlr"
    and "targeted-dlr" it is an attack of AutoAttack.

    Attributes:
        steps: number of gradient steps.
        restarts: number of independent starts; with "adversarial" only robust samples restart.
        iterate: "best" for the iterate with the highest loss, "adversarial" for the first
            adversarial one.
        start: "sphere" for a random point on the sphere, as in AutoAttack; "none" for the image.
    """

    steps: int = 10
    restarts: int = 1
    iterate: Literal["best", "adversarial"] = "best"
    start: ApgdStart = "sphere"

    takes_start: ClassVar[bool] = True
    #: As good in expectation as the publication's 7, at half the price (docs/studies/compute.md).
    training_steps: ClassVar[int | None] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_algorithm(self.steps, self.restarts, self.iterate)
        if self.iterate not in ("best", "adversarial"):
            raise UnknownName("iterate", self.iterate, ["best", "adversarial"])
        if self.start not in get_args(ApgdStart):
            raise UnknownName("start", self.start, get_args(ApgdStart))
        require_different_runs(self.restarts, self.start)

    @property
    def starts_at_image(self) -> bool:
        """Return whether start is "none"."""
        return self.start == "none"

    def stages(self) -> tuple[Stage, ...]:
        """Return its only stage, which is untargeted."""
        algorithm, loss = ApgdAlgorithm(self.steps, self.start), LOSSES.get(self.loss)()
        return (Stage(f"apgd-{self.loss}", algorithm, loss, self.restarts),)

    def _run(self, problem: Problem) -> Tensor:
        algorithm = ApgdAlgorithm(self.steps, self.start)
        return with_restarts(algorithm, problem, self.restarts, self.iterate)


@dataclass(frozen=True)
class Pace:
    """Steps between two checkpoints: 22 % of the run, then 3 % less each time, at least 6 %.

    Attributes:
        window: steps before the first checkpoint.
        shrink: difference between a window and the next.
        floor: steps of the shortest window.
    """

    window: int
    shrink: int
    floor: int

    @classmethod
    def of(cls, steps: int) -> Pace:
        """Return the pace of a run; each fraction of `steps` is rounded down, but not to 0."""
        return cls(*(max(int(fraction * steps), 1) for fraction in (0.22, 0.03, 0.06)))


@dataclass(frozen=True)
class ApgdAlgorithm(Algorithm):
    """APGD with `steps` steps from a random point on the sphere, or from the image.

    Under L1 it starts in larger balls (see `rampart.attacks.sparse`). A misclassified point outside
    the ball of eps does not count, and each new ball costs one more query.
    """

    steps: int
    first: ApgdStart = "sphere"

    def start(self, problem: Problem) -> Tensor:
        """Return random points on the sphere; under L1, of the first ball. Or the images.

        Points at which a run is to begin take their place.
        """
        return problem.starting_at(self._usual_start(problem))

    def _usual_start(self, problem: Problem) -> Tensor:
        if self.first == "none":
            return problem.images
        if problem.norm == "l1":
            return wide_start(problem, Phases.of(self.steps))
        return sphere_start(problem)

    def count_queries(self, norm: Norm) -> int:
        """Return the number of queries in a run."""
        return self.steps + 1 + (Phases.of(self.steps).openings if norm == "l1" else 0)

    def read(self, problem: Problem, points: Tensor, output: Output) -> Output:
        """Return the output; under L1 only points in the ball of eps are adversarial."""
        if problem.norm != "l1":
            return output
        return replace(output, is_adv=output.is_adv & problem.holds(points))

    def begin(self, problem: Problem, points: Tensor, output: Output) -> Ascent | SparseAscent:
        """Return the first state, after a query at `points`."""
        if problem.norm == "l1":
            return SparseAscent.begin(problem, points, output, Phases.of(self.steps))
        return Ascent.begin(points, output, problem.eps, Pace.of(self.steps))


@dataclass(frozen=True)
class Ascent(AlgorithmState):
    """State of APGD; images are (N, C, H, W), the rest (N,).

    Attributes:
        best_gradient: gradient at the best point.
        point, previous: the current point and the one before.
        gradient: gradient at `point`.
        value: loss at the last iterate.
        length: current step length, fraction of the pixel range.
        moved: whether a step has been made; the first one has no momentum.
        clock: steps since the last checkpoint.
        rises: how many of those steps raised the loss.
        window, shrink, floor: see `Pace`; `window` is the current one.
        checked: highest loss up to the last checkpoint.
        halved: whether the last checkpoint halved the length.
    """

    best_gradient: Tensor
    point: Tensor
    previous: Tensor
    gradient: Tensor
    value: Tensor
    length: Tensor
    moved: Tensor
    clock: Tensor
    rises: Tensor
    window: Tensor
    shrink: Tensor
    floor: Tensor
    checked: Tensor
    halved: Tensor

    @classmethod
    def begin(cls, points: Tensor, output: Output, eps: Tensor, pace: Pace) -> Ascent:
        """Return the state after a query at the starting points."""
        zero = torch.zeros_like(output.value, dtype=torch.int64)
        return cls(
            best=points,
            best_value=output.value,
            age=zero,
            best_gradient=output.gradient,
            point=points,
            previous=points,
            gradient=output.gradient,
            # AutoAttack compares the first step's loss with 0, not with the start's.
            value=torch.zeros_like(output.value),
            length=FIRST_STEP * eps,
            moved=torch.zeros_like(output.is_adv),
            clock=zero,
            rises=zero,
            window=zero + pace.window,
            shrink=zero + pace.shrink,
            floor=zero + pace.floor,
            checked=output.value,
            # The first checkpoint must not halve because the best point is unchanged.
            halved=torch.ones_like(output.is_adv),
        )

    def advance(self, problem: Problem) -> Tensor:
        """Return the next points: a projected step with momentum."""
        fraction = column(torch.where(self.moved, MOMENTUM, 1.0).to(self.point.dtype), self.point)
        step = ascend(problem, self.point, self.gradient, self.length).sub_(self.point)
        drift = (self.point - self.previous).mul_(1 - fraction)
        return problem.project_(step.mul_(fraction).add_(self.point).add_(drift))

    def observe(self, problem: Problem, points: Tensor, output: Output) -> Ascent:
        """Return the state after a query at `points`; a checkpoint adapts the step length."""
        better = output.value > self.best_value
        best = choose(better, points, self.best)
        best_gradient = choose(better, output.gradient, self.best_gradient)
        best_value = torch.where(better, output.value, self.best_value)
        clock, rises = self.clock + 1, self.rises + (output.value > self.value)
        due = clock == self.window
        stuck = ~self.halved & (self.checked >= best_value)
        halve = due & ((rises <= RHO * self.window) | stuck)
        return Ascent(
            best=best,
            best_value=best_value,
            age=self.age + 1,
            best_gradient=best_gradient,
            # Halving returns to the best point; the next displacement starts there.
            point=choose(halve, best, points),
            previous=self.point,
            gradient=choose(halve, best_gradient, output.gradient),
            value=output.value,
            length=torch.where(halve, self.length / 2, self.length),
            moved=torch.ones_like(self.moved),
            clock=clock.masked_fill(due, 0),
            rises=rises.masked_fill(due, 0),
            window=torch.where(
                due, torch.maximum(self.window - self.shrink, self.floor), self.window
            ),
            shrink=self.shrink,
            floor=self.floor,
            checked=torch.where(due, best_value, self.checked),
            halved=torch.where(due, halve, self.halved),
        )
