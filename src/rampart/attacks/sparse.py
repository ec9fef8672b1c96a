"""APGD under L1: steps on few pixels, from a ball three times too large down to the ball asked for.

Croce & Hein 2021 (arXiv 2103.01208), algorithm 1 and section 4.2, with the settings of AutoAttack's
published code where the two differ. Everything is kept per sample, as under the other norms.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rampart.attacks.algorithm import AlgorithmState, Output, Problem
from rampart.threat import column, project

#: Radius of the ball in each of three phases, as a multiple of eps.
RADII = (3.0, 2.0, 1.0)
#: A checkpoint at which the best point differs from the image in more than this fraction of the
#: values that differed at the last one shortens the step by a factor, down to a smallest length.
STALE, SHORTER, SHORTEST = 0.95, 1 / 1.5, 0.1


@dataclass(frozen=True)
class Phases:
    """When a run of so many steps goes to the next ball, and how often it takes stock.

    Attributes:
        ends: number of steps after which the first and the second phase end.
        windows: steps between two checkpoints in each phase.
    """

    ends: tuple[int, int]
    windows: tuple[int, int, int]

    @classmethod
    def of(cls, steps: int) -> "Phases":
        """30 %, 30 % and the rest, rounded up; a run of 1 or 2 steps has the last phase alone."""
        # The last phase keeps at least one step.
        part = min(math.ceil(0.3 * steps), (steps - 1) // 2)
        lengths = (part, part, steps - 2 * part)
        first, second, third = (max(int(0.04 * length), 1) for length in lengths)
        return cls((part, 2 * part), (first, second, third))

    @property
    def openings(self) -> int:
        """How many looks a run takes at the start of a phase, besides its first look."""
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
    """What APGD remembers of each sample under L1; images are (N, C, H, W), the rest (N,).

    The best point is that of the current phase. The first look of a phase does not count as a step.

    Attributes:
        best_gradient: gradient at the best point.
        point, gradient: where it is, and the gradient there.
        opening: whether the next look is the first of a phase.
        length: length of a step, as a multiple of the radius of the phase's ball.
        clock: steps since the last checkpoint.
        changed: number of values in which the best point differed from the image there.
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
    ) -> "SparseAscent":
        """Return the memory after a look at the start."""
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
            ends=torch.tensor(phases.ends, device=device).expand(n, -1),
            windows=torch.tensor(phases.windows, device=device).expand(n, -1),
        )

    def _phase(self) -> Tensor:
        return (self.age[:, None] >= self.ends).sum(1)

    def advance(self, problem: Problem) -> Tensor:
        """Return the points after a step on few pixels; at a phase's start, the last best ones."""
        radius = torch.tensor(RADII, device=self.age.device)[self._phase()].to(problem.eps.dtype)
        radius = radius * problem.eps
        length = self.length.to(radius.dtype) * radius
        step = self.point + column(length, self.point) * self._direction()
        points = torch.where(column(self.opening, step), self.best, step)
        return project(points, problem.images, radius, problem.norm)

    def _direction(self) -> Tensor:
        """Return the signs of the largest entries of the gradient, of unit L1 length."""
        sizes = self.gradient.flatten(1).abs()
        count = sizes.shape[1]
        # Two thirds of them, rounded up; in whole numbers, for a third has no exact fraction.
        rank = count - ((2 * self.changed + 2) // 3).clamp_min(1)
        least = sizes.sort(1).values.gather(1, rank[:, None])
        signs = self.gradient.flatten(1).sign() * (sizes >= least)
        return (signs / signs.abs().sum(1, keepdim=True).clamp_min(1.0)).view_as(self.gradient)

    def observe(self, problem: Problem, points: Tensor, output: Output) -> "SparseAscent":
        """Return the memory after a look at `points`; a new phase forgets the best point."""
        opening = self.opening
        better = opening | (output.value > self.best_value)
        best = _choose(better, points, self.best)
        best_gradient = _choose(better, output.gradient, self.best_gradient)
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
            # A step that made the best point sparser goes on from there.
            point=_choose(due & sparser, best, points),
            gradient=_choose(due & sparser, best_gradient, output.gradient),
            opening=~opening & (age[:, None] == self.ends).any(1),
            length=length.masked_fill(opening, 1.0),
            clock=clock.masked_fill(due, 0),
            changed=torch.where(due | opening, changed, self.changed),
        )


def _count_changed(points: Tensor, images: Tensor) -> Tensor:
    return (points != images).flatten(1).sum(1)


def _choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Per sample, `yes` where the (N,) mask holds, else `no`."""
    return torch.where(column(mask, yes), yes, no)
