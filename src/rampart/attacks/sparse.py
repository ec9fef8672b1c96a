"""APGD under L1: steps that change few pixels, in balls of radius 3 eps, then 2 eps, then eps.

Croce & Hein 2021 (arXiv 2103.01208), algorithm 1 and section 4.2, with the settings of AutoAttack's
published code where the two differ. As under the other norms, the state has one row per sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rampart.attacks.algorithm import AlgorithmState, Output, Problem
from rampart.attacks.steps import choose
from rampart.deferred import torch
from rampart.devices import constant
from rampart.threat import column, project

if TYPE_CHECKING:
    from torch import Tensor

#: Radius of the ball in each of three phases, as a multiple of eps.
RADII = (3.0, 2.0, 1.0)
#: A checkpoint counts the values in which the best point differs from the image. If it has at least
#: STALE times those of the last checkpoint, the step shrinks by SHORTER, down to SHORTEST.
STALE, SHORTER, SHORTEST = 0.95, 1 / 1.5, 0.1


@dataclass(frozen=True)
class Phases:
    """The three phases of a run, one for each ball.

    Attributes:
        ends: number of steps after which the first and the second phase end.
        windows: steps between two checkpoints in each phase.
    """

    ends: tuple[int, int]
    windows: tuple[int, int, int]

    @classmethod
    def of(cls, steps: int) -> Phases:
        """Return phases of 30 % (rounded up), 30 % and the rest; 1 or 2 steps are one phase."""
        # The last phase keeps at least one step.
        part = min(math.ceil(0.3 * steps), (steps - 1) // 2)
        lengths = (part, part, steps - 2 * part)
        first, second, third = (max(int(0.04 * length), 1) for length in lengths)
        return cls((part, 2 * part), (first, second, third))

    @property
    def openings(self) -> int:
        """Number of queries at the start of a phase, the first phase excluded."""
        return 2 if self.ends[0] else 0

    @property
    def first_radius(self) -> float:
        """Radius of the first ball, as a multiple of eps."""
        return RADII[0] if self.ends[0] else RADII[-1]


def wide_start(problem: Problem, phases: Phases) -> Tensor:
    """Return the points of the first ball and the box nearest to Gaussian noise."""
    images, radius = problem.images, phases.first_radius * problem.eps
    noise = problem.noise.normal(*images.shape[1:]).to(images.dtype)
    return project(images + noise, images, radius, problem.norm)


@dataclass(frozen=True)
class SparseAscent(AlgorithmState):
    """State of APGD under L1; images are (N, C, H, W), the rest (N,).

    The best point is that of the current phase. The first query of a phase does not count as a
    step.

    Attributes:
        best_gradient: gradient at the best point.
        point, gradient: the current point, and the gradient there.
        opening: whether the next query is the first of a phase.
        length: step length, as a multiple of the radius of the phase's ball.
        clock: steps since the last checkpoint.
        changed: number of values in which the best point of the last checkpoint differed from the
            image.
        ends, windows: (N, 2) and (N, 3), the run's `Phases`.
    """

    best_gradient: Tensor
    point: Tensor
    gradient: Tensor
    opening: Tensor
    length: Tensor
    clock: Tensor
    changed: Tensor
    ends: Tensor
    windows: Tensor

    @classmethod
    def begin(
        cls, problem: Problem, points: Tensor, output: Output, phases: Phases
    ) -> SparseAscent:
        """Return the state after a query at the starting points."""
        zero = torch.zeros_like(output.value, dtype=torch.int64)
        n, device = len(points), points.device
        return cls(
            best=points,
            best_value=output.value,
            age=zero,
            best_gradient=output.gradient,
            point=points,
            gradient=output.gradient,
            opening=torch.zeros_like(output.is_adv),
            length=torch.ones_like(output.value),
            clock=zero,
            changed=_count_changed(points, problem.images),
            ends=constant(phases.ends, device).expand(n, -1),
            windows=constant(phases.windows, device).expand(n, -1),
        )

    def _phase(self) -> Tensor:
        return (self.age[:, None] >= self.ends).sum(1)

    def advance(self, problem: Problem) -> Tensor:
        """Return the points after a sparse step; at the start of a phase, the projected best."""
        radius = constant(RADII, self.age.device)[self._phase()].to(problem.eps.dtype)
        radius = radius * problem.eps
        length = self.length.to(radius.dtype) * radius
        step = self.point + column(length, self.point) * self._direction()
        points = torch.where(column(self.opening, step), self.best, step)
        return project(points, problem.images, radius, problem.norm)

    def _direction(self) -> Tensor:
        """Return the signs of the largest gradient entries, scaled to unit L1 length."""
        sizes = self.gradient.flatten(1).abs()
        count = sizes.shape[1]
        # Two thirds of `changed`, rounded up; integers avoid rounding errors.
        rank = count - ((2 * self.changed + 2) // 3).clamp_min(1)
        least = sizes.sort(1).values.gather(1, rank[:, None])
        signs = self.gradient.flatten(1).sign() * (sizes >= least)
        return (signs / signs.abs().sum(1, keepdim=True).clamp_min(1.0)).view_as(self.gradient)

    def observe(self, problem: Problem, points: Tensor, output: Output) -> SparseAscent:
        """Return the state after a query at `points`; a new phase resets the best point."""
        opening = self.opening
        better = opening | (output.value > self.best_value)
        best = choose(better, points, self.best)
        best_gradient = choose(better, output.gradient, self.best_gradient)
        clock = (self.clock + 1).masked_fill(opening, 0)
        window = self.windows.gather(1, self._phase()[:, None])[:, 0]
        due = ~opening & (clock == window)
        changed = _count_changed(best, problem.images)
        sparser = changed < STALE * self.changed
        shorter = (self.length * SHORTER).clamp_min(SHORTEST)
        length = torch.where(due, torch.where(sparser, 1.0, shorter), self.length)
        age = self.age + ~opening
        return replace(
            self,
            best=best,
            best_value=torch.where(better, output.value, self.best_value),
            age=age,
            best_gradient=best_gradient,
            # Continue from the best point if it has become sparser.
            point=choose(due & sparser, best, points),
            gradient=choose(due & sparser, best_gradient, output.gradient),
            opening=~opening & (age[:, None] == self.ends).any(1),
            length=length.masked_fill(opening, 1.0),
            clock=clock.masked_fill(due, 0),
            changed=torch.where(due | opening, changed, self.changed),
        )


def _count_changed(points: Tensor, images: Tensor) -> Tensor:
    return (points != images).flatten(1).sum(1)
