"""FGSM, N-FGSM and PGD: steps of constant length along the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from rampart.attacks.algorithm import (
    Algorithm,
    AlgorithmState,
    Iterate,
    Output,
    Problem,
    check_algorithm,
)
from rampart.attacks.base import ATTACKS, Attack
from rampart.attacks.running import with_restarts
from rampart.attacks.stages import Stage
from rampart.attacks.steps import (
    Start,
    ascend,
    check_start,
    choose,
    require_different_runs,
    starting_point,
)
from rampart.deferred import torch
from rampart.errors import InvalidArgument, UnknownName
from rampart.losses import LOSSES
from rampart.units import parse_eps

if TYPE_CHECKING:
    from torch import Tensor

StepRule = Literal["relative", "absolute"]


@ATTACKS.register("fgsm")
@dataclass(frozen=True)
class Fgsm(Attack):
    """One step along the gradient from a random point: x + project(δ + a · eps · sign(∇)).

    Wong, Rice & Kolter 2020 (arXiv 2001.03994): δ uniform in the ball, a = 1.25. With start
    "none" it is the method of Goodfellow et al. 2015. One forward, one backward.

    Attributes:
        step_size: length of the step as a multiple of eps.
        start: "uniform", "gaussian" or "none" (see `rampart.attacks.steps`).
    """

    step_size: float = 1.25
    start: Start = "uniform"

    takes_start: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.start)
        _check_multiple(self.step_size)

    @property
    def starts_at_image(self) -> bool:
        """Return whether start is "none"."""
        return self.start == "none"

    @property
    def is_single_step(self) -> bool:
        """Return True."""
        return True

    def _run(self, problem: Problem) -> Tensor:
        point = starting_point(problem, self.start)
        return ascend(problem, point, problem.gradient(point), self.step_size * problem.eps)


@ATTACKS.register("n-fgsm")
@dataclass(frozen=True)
class NFgsm(Attack):
    """One step from a point outside the ball, without a projection: x + η + a · eps · sign(∇).

    Jorge et al. 2022 (arXiv 2202.01181): η uniform in the ball of k eps, k = 2 and a = 1. Stronger
    noise and no projection keep training on a single step from catastrophic overfitting. The points
    lie within (k + a) eps of the image and in [0, 1]; their expected distance is smaller. They are
    for training only: validation uses PGD. One forward, one backward.

    Attributes:
        noise: radius k of the noise, as a multiple of eps.
        step_size: length a of the step, as a multiple of eps.
    """

    noise: float = 2.0
    step_size: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_multiple(self.step_size)
        if not (0 < self.noise < math.inf):
            raise InvalidArgument("noise", self.noise, "a multiple of eps above 0, such as 2")

    @property
    def is_single_step(self) -> bool:
        """Return True."""
        return True

    @property
    def reach(self) -> float:
        """The noise and the step together."""
        return float(self.noise) + float(self.step_size)

    def _run(self, problem: Problem) -> Tensor:
        point = starting_point(problem.wider(float(self.noise)), "uniform")
        size = float(self.step_size) * problem.eps
        return ascend(problem.wider(self.reach), point, problem.gradient(point), size)


@ATTACKS.register("pgd")
@dataclass(frozen=True)
class Pgd(Attack):
    """Projected gradient ascent, Madry et al. 2018 (arXiv 1706.06083).

    n steps cost n forwards and n backwards; "best" and "adversarial" also query the last iterate,
    which makes n + 1 forwards.

    Attributes:
        steps: number of gradient steps.
        step_size: length of a step. Relative: a multiple of the current eps, 2.5 / steps by
            default. Absolute: a fraction of the pixel range such as 1/255, the same at every eps.
        step_rule: "relative" or "absolute".
        start: "uniform", "gaussian" or "none" (see `rampart.attacks.steps`).
        restarts: number of independent starts.
        iterate: "last", "best" or "adversarial" (see `rampart.attacks.algorithm`).
    """

    steps: int = 10
    step_size: float | str | None = None
    step_rule: StepRule = "relative"
    start: Start = "uniform"
    restarts: int = 1
    iterate: Iterate = "last"

    takes_start: ClassVar[bool] = True
    #: As for `Apgd`.
    training_steps: ClassVar[int | None] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_algorithm(self.steps, self.restarts, self.iterate)
        check_start(self.start)
        object.__setattr__(self, "step_size", self._parsed_step())
        require_different_runs(self.restarts, self.start)
        if self.restarts > 1 and self.iterate == "last":
            raise InvalidArgument(
                "restarts",
                self.restarts,
                "1 with iterate 'last'",
                "use iterate 'best' or 'adversarial'",
            )

    def _parsed_step(self) -> float | None:
        if self.step_rule == "relative":
            return None if self.step_size is None else _check_multiple(self.step_size)
        if self.step_rule != "absolute":
            raise UnknownName("step_rule", self.step_rule, get_args(StepRule))
        if self.step_size is None:
            expected = "a fraction of the pixel range with step_rule 'absolute'"
            raise InvalidArgument("step_size", None, expected, "for example 1/255")
        return parse_eps(self.step_size, self.norm, "step_size")

    @property
    def starts_at_image(self) -> bool:
        """Return whether start is "none"."""
        return self.start == "none"

    def size(self, eps: Tensor) -> Tensor:
        """Return the step lengths (N,) at the strengths `eps` (N,)."""
        if self.step_size is None:
            return eps * (2.5 / self.steps)
        size = float(self.step_size)
        relative = self.step_rule == "relative"
        return eps * size if relative else torch.full_like(eps, size)

    def stages(self) -> tuple[Stage, ...]:
        """Return its only stage."""
        return (
            Stage(f"pgd-{self.loss}", PgdAlgorithm(self), LOSSES.get(self.loss)(), self.restarts),
        )

    def _run(self, problem: Problem) -> Tensor:
        if self.iterate == "last":
            return self._final(problem)
        return with_restarts(PgdAlgorithm(self), problem, self.restarts, self.iterate)

    def _final(self, problem: Problem) -> Tensor:
        point, size = starting_point(problem, self.start), self.size(problem.eps)
        for _ in range(self.steps):
            point = ascend(problem, point, problem.gradient(point), size)
        return point


def with_steps(attack: Attack, steps: int) -> Attack:
    """Return the attack with so many gradient steps; in place of a single step, PGD."""
    if hasattr(attack, "steps"):
        return replace(attack, steps=steps)  # type: ignore[call-arg]  # it has steps
    return Pgd(norm=attack.norm, mode=attack.mode, loss=attack.loss, steps=steps)


@dataclass(frozen=True)
class PgdAlgorithm(Algorithm):
    """PGD with the options of `attack`."""

    attack: Pgd

    @property
    def steps(self) -> int:  # type: ignore[override]  # the attack's own number
        """The number of steps."""
        return self.attack.steps

    def start(self, problem: Problem) -> Tensor:
        """Return the starting points."""
        return starting_point(problem, self.attack.start)

    def begin(self, problem: Problem, points: Tensor, output: Output) -> Walk:
        """Return the state after a query at the starting points."""
        age = torch.zeros_like(output.value, dtype=torch.int64)
        return Walk(
            points, output.value, age, points, output.gradient, self.attack.size(problem.eps)
        )


@dataclass(frozen=True)
class Walk(AlgorithmState):
    """State of PGD: the last point, its gradient, and the step length (N,)."""

    point: Tensor
    gradient: Tensor
    length: Tensor

    def advance(self, problem: Problem) -> Tensor:
        """Return the points after one projected step."""
        return ascend(problem, self.point, self.gradient, self.length)

    def observe(self, problem: Problem, points: Tensor, output: Output) -> Walk:
        """Return the state after a query at `points`."""
        better = output.value > self.best_value
        return Walk(
            best=choose(better, points, self.best),
            best_value=torch.where(better, output.value, self.best_value),
            age=self.age + 1,
            point=points,
            gradient=output.gradient,
            length=self.length,
        )


def _check_multiple(step_size: float | str) -> float:
    expected = "a multiple of eps above 0, such as 0.25"
    try:
        value = float(step_size)
    except ValueError:
        raise InvalidArgument(
            "step_size", step_size, expected, "use step_rule 'absolute' for a length such as 1/255"
        ) from None
    if not (0 < value < math.inf):
        raise InvalidArgument("step_size", step_size, expected)
    return value
