"""APGD: gradient ascent with momentum whose step halves where progress stalls.

Croce & Hein 2020 (arXiv 2003.01690), algorithm 1, with the settings of AutoAttack's published
code where the two differ. Everything is kept per sample, the strength, the length of the step and
the position between two checkpoints included, so that one batch may hold different problems.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from rampart.attacks.algorithm import (
    Algorithm,
    AlgorithmState,
    Output,
    Problem,
    check_algorithm,
    with_restarts,
)
from rampart.attacks.base import ATTACKS, Attack
from rampart.attacks.sparse import Phases, SparseAscent, wide_start
from rampart.attacks.stages import Stage
from rampart.attacks.steps import ascend, sphere_start
from rampart.errors import UnknownName
from rampart.losses import LOSSES
from rampart.threat import column
from rampart.units import Norm

#: First length of a step, as a multiple of eps.
FIRST_STEP = 2.0
#: Fraction of the new step in the next displacement; the rest is the last displacement.
MOMENTUM = 0.75
#: A window with at most this fraction of improving steps halves the length of the step.
RHO = 0.75


@ATTACKS.register("apgd")
@dataclass(frozen=True)
class Apgd(Attack):
    """Auto-PGD: no step size to choose.

    n steps cost n + 1 forwards and n backwards (AutoAttack: n + 1 of both). The loss is chosen by
    name; "dlr" and "targeted-dlr" give the attacks of AutoAttack.

    Attributes:
        steps: number of gradient steps.
        restarts: number of independent starts; with "adversarial" only standing samples restart.
        iterate: "best" for the iterate of highest loss, "adversarial" for the first misclassified
            one.
    """

    steps: int = 10
    restarts: int = 1
    iterate: Literal["best", "adversarial"] = "best"

    #: As in the publication (arXiv 2509.23325).
    training_steps: ClassVar[int | None] = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        check_algorithm(self.steps, self.restarts, self.iterate)
        if self.iterate not in ("best", "adversarial"):
            raise UnknownName("iterate", self.iterate, ["best", "adversarial"])

    def stages(self) -> tuple[Stage, ...]:
        """Return the one stage, which has no targets of its own."""
        algorithm, loss = ApgdAlgorithm(self.steps), LOSSES.get(self.loss)()
        return (Stage(f"apgd-{self.loss}", algorithm, loss, self.restarts),)

    def _run(self, problem: Problem) -> Tensor:
        return with_restarts(ApgdAlgorithm(self.steps), problem, self.restarts, self.iterate)


@dataclass(frozen=True)
class Pace:
    """How many steps lie between two checkpoints: 22 %, then 3 % fewer each, at least 6 %.

    Attributes:
        window: steps before the first checkpoint.
        shrink: by how much each following window is shorter.
        floor: length of the shortest window.
    """

    window: int
    shrink: int
    floor: int

    @classmethod
    def of(cls, steps: int) -> "Pace":
        """Return the pace of a run of `steps` steps, each part rounded down, but not to 0."""
        return cls(*(max(int(fraction * steps), 1) for fraction in (0.22, 0.03, 0.06)))


@dataclass(frozen=True)
class ApgdAlgorithm(Algorithm):
    """One run of APGD, `steps` steps from a random point of the sphere.

    Under L1 it comes from larger balls (see `rampart.attacks.sparse`), where a misclassified point
    does not count, and each new ball takes one more look.
    """

    steps: int

    def start(self, problem: Problem) -> Tensor:
        """Return random points of the sphere, of the first one under L1."""
        if problem.norm == "l1":
            return wide_start(problem, Phases.of(self.steps))
        return sphere_start(problem)

    def count_queries(self, norm: Norm) -> int:
        """Return the number of looks in a run."""
        return self.steps + 1 + (Phases.of(self.steps).openings if norm == "l1" else 0)

    def query(self, problem: Problem, points: Tensor, gradient: bool = True) -> Output:
        """Return what the model says; under L1, broken in the ball that was asked for only."""
        output = problem.query(points, gradient)
        if problem.norm != "l1":
            return output
        return replace(output, is_adv=output.is_adv & problem.holds(points))

    def begin(self, problem: Problem, points: Tensor, output: Output) -> "Ascent | SparseAscent":
        """Return the memory after a look at the start."""
        if problem.norm == "l1":
            return SparseAscent.begin(problem, points, output, Phases.of(self.steps))
        return Ascent.begin(points, output, problem.eps, Pace.of(self.steps))


@dataclass(frozen=True)
class Ascent(AlgorithmState):
    """APGD's memory of each sample; images are (N, C, H, W), the rest (N,).

    Attributes:
        best_gradient: gradient at the best point.
        point, previous: where it is, and where it was one step before.
        gradient: gradient at `point`.
        value: loss at the last iterate.
        length: current length of a step, fraction of the pixel range.
        moved: whether a step has been made; the first one has no momentum.
        clock: steps since the last checkpoint.
        rises: how many of them raised the loss.
        window, shrink, floor: the pace, `window` the current one.
        checked: highest loss at the last checkpoint.
        halved: whether the length was halved there.
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
    def begin(cls, points: Tensor, output: Output, eps: Tensor, pace: Pace) -> "Ascent":
        """Return the memory after a look at the start."""
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
            # So that the first checkpoint never halves for want of a new best point.
            halved=torch.ones_like(output.is_adv),
        )

    def advance(self, problem: Problem) -> Tensor:
        """Return the next points: a projected step, joined with the last displacement."""
        fraction = column(torch.where(self.moved, MOMENTUM, 1.0).to(self.point.dtype), self.point)
        step = ascend(problem, self.point, self.gradient, self.length) - self.point
        drift = self.point - self.previous
        return problem.project(self.point + fraction * step + (1 - fraction) * drift)

    def observe(self, problem: Problem, points: Tensor, output: Output) -> "Ascent":
        """Return the memory after a look at `points`; at a checkpoint, adapt the length."""
        better = output.value > self.best_value
        best = _choose(better, points, self.best)
        best_gradient = _choose(better, output.gradient, self.best_gradient)
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
            # Halving goes back to the best point; the displacement is measured from there.
            point=_choose(halve, best, points),
            previous=self.point,
            gradient=_choose(halve, best_gradient, output.gradient),
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


def _choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Per sample, `yes` where the (N,) mask holds, else `no`."""
    return torch.where(column(mask, yes), yes, no)
