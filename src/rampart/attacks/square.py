"""Square Attack: random search over square patches, without gradients.

Andriushchenko, Croce et al. 2020 (arXiv 1912.00049), with the settings of AutoAttack's published
code where the two differ. The patches of a sample depend only on its key and the number of the
query, so one batch may hold samples at different queries and strengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rampart.attacks.algorithm import (
    Algorithm,
    AlgorithmState,
    Output,
    Problem,
    check_algorithm,
)
from rampart.attacks.base import ATTACKS, Attack
from rampart.attacks.running import with_restarts
from rampart.attacks.stages import Stage
from rampart.deferred import torch
from rampart.devices import constant
from rampart.errors import InvalidArgument, UnknownName
from rampart.losses import LOSSES
from rampart.rows import row_norm, row_sum
from rampart.runtime import Noise
from rampart.threat import column, steepest
from rampart.units import Norm

if TYPE_CHECKING:
    from torch import Tensor

#: The fraction of the image that a patch covers halves after each of these queries. They do not
#: depend on the number of queries.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
#: POWER: p of the Lp norm. FALL: by p, the exponent q with which a bump falls off (see `_bump`).
POWER: dict[Norm, int] = {"l2": 2, "l1": 1}
FALL = {2: 2, 1: 4}


@ATTACKS.register("square")
@dataclass(frozen=True)
class Square(Attack):
    """Square Attack: n queries cost n + 1 forwards and no backward.

    Attributes:
        queries: number of patches to try after the first stripes.
        p_init: fraction of the image that the first patches cover, in (0, 1].
        restarts: number of independent runs; with "adversarial" only robust samples restart.
        iterate: "best" for the point with the highest loss, "adversarial" for the first
            adversarial one.
    """

    loss: str = "margin"
    queries: int = 5000
    p_init: float = 0.8
    restarts: int = 1
    iterate: Literal["best", "adversarial"] = "adversarial"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queries < 1:
            raise InvalidArgument("queries", self.queries, "at least 1")
        if not 0 < self.p_init <= 1:
            raise InvalidArgument("p_init", self.p_init, "a fraction of the image in (0, 1]")
        check_algorithm(self.queries, self.restarts, self.iterate)
        if self.iterate not in ("best", "adversarial"):
            raise UnknownName("iterate", self.iterate, ["best", "adversarial"])

    def stages(self) -> tuple[Stage, ...]:
        """Return its only stage."""
        algorithm, loss = SquareAlgorithm(self.queries, self.p_init), LOSSES.get(self.loss)()
        return (Stage("square", algorithm, loss, self.restarts),)

    def _run(self, problem: Problem) -> Tensor:
        algorithm = SquareAlgorithm(self.queries, self.p_init)
        return with_restarts(algorithm, problem, self.restarts, self.iterate)


@dataclass(frozen=True)
class SquareAlgorithm(Algorithm):
    """Square with `steps` queries after the first."""

    steps: int
    p_init: float = 0.8
    gradient: ClassVar[bool] = False
    only_improves: ClassVar[bool] = True

    def start(self, problem: Problem) -> Tensor:
        """Return the images with vertical stripes (Linf) or a grid of bumps (L2, L1)."""
        noise = problem.noise.child("square", "start")
        return _stripes(problem, noise) if problem.norm == "linf" else _bumps(problem, noise)

    def begin(self, problem: Problem, points: Tensor, output: Output) -> SquareWalk:
        """Return the first state, after a query at `points`, any points of ball and box."""
        age = torch.zeros_like(output.value, dtype=torch.int64)
        fraction = torch.full_like(output.value, self.p_init, dtype=torch.float64)
        return SquareWalk(points, output.value, age, fraction)


@dataclass(frozen=True)
class SquareWalk(AlgorithmState):
    """State of Square; the next patch changes the best point.

    Attributes:
        fraction: (N,), fraction of the image that the first patches cover.
    """

    fraction: Tensor

    def advance(self, problem: Problem) -> Tensor:
        """Return the best points with one patch changed, inside ball and box."""
        noise = problem.noise.child("square").at(self.age)
        patch = _linf_patch if problem.norm == "linf" else _bump_patch
        return patch(problem, self.best, self._fraction(), noise)

    def _fraction(self) -> Tensor:
        limits = constant(HALVINGS, self.age.device)
        return self.fraction * 0.5 ** (self.age[:, None] > limits).sum(1)

    def observe(self, problem: Problem, points: Tensor, output: Output) -> SquareWalk:
        """Return the state after a query at `points`; it keeps points with a higher loss."""
        better = output.value > self.best_value
        return SquareWalk(
            best=torch.where(column(better, points), points, self.best),
            best_value=torch.where(better, output.value, self.best_value),
            age=self.age + 1,
            fraction=self.fraction,
        )


@dataclass(frozen=True)
class Windows:
    """One square of pixels per sample.

    Attributes:
        side: (N,) int64.
        rows: (N, H) int64, index of each image row in the square; 0 to side - 1 lie inside.
        columns: (N, W) int64, likewise.
    """

    side: Tensor
    rows: Tensor
    columns: Tensor

    @classmethod
    def draw(cls, side: Tensor, corner: Tensor, images: Tensor) -> Windows:
        """Return windows whose upper left corners are given by uniform numbers (N, 2).

        As in the published code, no window contains the last row or the last column.
        """
        height, width = images.shape[2:]
        top = (corner[:, 0] * (height - side)).long()
        left = (corner[:, 1] * (width - side)).long()
        rows = torch.arange(height, device=side.device) - top[:, None]
        columns = torch.arange(width, device=side.device) - left[:, None]
        return cls(side, rows, columns)

    def mask(self) -> Tensor:
        """Return (N, 1, H, W) bool, whether a pixel lies inside."""
        side = self.side[:, None]
        rows = (self.rows >= 0) & (self.rows < side)
        columns = (self.columns >= 0) & (self.columns < side)
        return (rows[:, :, None] & columns[:, None, :])[:, None]


def _sides(fraction: Tensor, images: Tensor) -> Tensor:
    """Return the (N,) sides of squares that cover a fraction of the image, at least 1."""
    height, width = images.shape[2:]
    sides = (fraction * (height * width)).sqrt().round().long()
    return sides.clamp(1, min(height, width))


def _signs(uniform: Tensor, images: Tensor) -> Tensor:
    """Return -1 or 1, in the precision of the images."""
    return torch.where(uniform < 0.5, -1.0, 1.0).to(images.dtype)


def _stripes(problem: Problem, noise: Noise) -> Tensor:
    images = problem.images
    channels, _, width = images.shape[1:]
    signs = _signs(noise.uniform(channels, 1, width), images)
    return (images + problem.scaled(1.0) * signs).clamp(0.0, 1.0)


def _linf_patch(problem: Problem, points: Tensor, fraction: Tensor, noise: Noise) -> Tensor:
    """Move every channel inside a window by +eps or -eps, clipped to the box."""
    images = problem.images
    draws = noise.uniform(2 + images.shape[1])
    window = Windows.draw(_sides(fraction, images), draws[:, :2], images)
    offset = problem.scaled(1.0) * _signs(draws[:, 2:], images)[:, :, None, None]
    return torch.where(window.mask(), (images + offset).clamp(0.0, 1.0), points)


def _bump_patch(problem: Problem, points: Tensor, fraction: Tensor, noise: Noise) -> Tensor:
    """Replace the perturbation of two windows by one bump in the first window.

    The bump gets the budget of both windows and the unused part of the ball. Budgets are p-th
    powers of lengths, p = 2 for L2 and 1 for L1.
    """
    images = problem.images
    channels = images.shape[1]
    p = POWER[problem.norm]
    draws = noise.uniform(5 + channels)
    side = _odd_sides(fraction, images)
    first = Windows.draw(side, draws[:, :2], images)
    inside = first.mask()
    elsewhere = Windows.draw(side, draws[:, 2:4], images).mask()
    delta = points - images
    sizes = delta.abs() ** p
    used = row_sum(sizes * (inside | elsewhere), (2, 3), keepdim=True)
    spare = (problem.scaled(1.0) ** p - row_sum(sizes, (1, 2, 3), keepdim=True)).clamp_min(0)
    budget = (spare / channels + used) ** (1 / p)
    bump = _bump(side, first.rows, first.columns, draws[:, 4] > 0.5, p).to(images.dtype)
    bump = bump[:, None] * _signs(draws[:, 5:], images)[:, :, None, None]
    # Under L1 the published code gives every channel the budget of all; the projection cuts it.
    patch = _unit(bump + _unit(delta * inside, p), p) * (budget if p == 2 else channels * budget)
    return _finish_patch(problem, torch.where(inside, patch, delta.masked_fill(elsewhere, 0.0)))


def _finish_patch(problem: Problem, delta: Tensor) -> Tensor:
    """Return the images plus `delta`: scaled to the sphere (L2), or projected (L1)."""
    if problem.norm == "l1":
        return problem.project(problem.images + delta)
    return (problem.images + problem.scaled(1.0) * steepest(delta, "l2")).clamp(0.0, 1.0)


def _odd_sides(fraction: Tensor, images: Tensor) -> Tensor:
    """Return the sides of `_sides`, made odd and at least 3 where the image is large enough."""
    sides = _sides(fraction, images).clamp_min(3)
    return (sides + (sides % 2 == 0)).clamp_max(min(images.shape[2:]))


def _unit(planes: Tensor, p: int) -> Tensor:
    """Return the planes (N, C, H, W) scaled to unit Lp length each; zero planes stay zero."""
    return planes / (row_norm(planes, p, (2, 3), keepdim=True) + 1e-12)


def _bump(side: Tensor, rows: Tensor, columns: Tensor, turned: Tensor, p: int) -> Tensor:
    """Return the published pattern of unit Lp length, (N, H, W): a bump above its negative.

    Each half falls off from its center in square rings. Ring m has the height
    1/(m+1)^q + 1/(m+2)^q + ... + 1/K^q, K = side // 2 + 1, q = 2 for L2 and 4 for L1.

    Args:
        side: (N,), side of the pattern.
        rows: (N, H), index of each image row in the pattern; the result is 0 outside
            0..side - 1.
        columns: (N, W), likewise.
        turned: (N,) bool, whether the halves are side by side instead.
        p: 2 or 1.
    """
    i, j, side = rows[:, :, None], columns[:, None, :], side[:, None, None]
    flip = turned[:, None, None]
    inside = (i >= 0) & (i < side) & (j >= 0) & (j < side)
    i, j = torch.where(flip, j, i), torch.where(flip, i, j)
    half = side // 2
    upper = i < half
    # The lower half has one more row if the side is odd.
    center = torch.where(upper, half // 2, half + (side - half) // 2)
    ring = torch.maximum((i - center).abs(), (j - half).abs())
    peak = half + 1
    heights = torch.arange(1, int(rows.shape[1] + columns.shape[1]), device=side.device)
    sums = torch.nn.functional.pad(heights.double().pow(-FALL[p]).cumsum(0), (1, 0)).float()
    value = (sums[peak] - sums[torch.minimum(ring, peak)]) * inside
    above = _unit((value * upper)[:, None], p)[:, 0]
    below = _unit((value * ~upper)[:, None], p)[:, 0]
    return _unit((above - below)[:, None], p)[:, 0]


def _bumps(problem: Problem, noise: Noise) -> Tensor:
    """Return the images with a grid of bumps, about 5 along each side, on the sphere."""
    images, p = problem.images, POWER[problem.norm]
    channels, height, width = images.shape[1:]
    side = max(min(height, width) // 5, 1)
    margin = max(min(height, width) - 5 * side, 0) // 2
    place = torch.arange(side, device=images.device)[None]
    length = torch.full((1,), side, device=images.device)
    tile = _bump(length, place, place, place[:, 0] > 0, p)[0]
    tiles = torch.stack([tile, tile.T]).to(images.dtype)
    rows, columns = (torch.arange(n, device=images.device) - margin for n in (height, width))
    down, across = rows // side, columns // side
    covered = ((rows >= 0) & (down < height // side))[:, None] & (
        (columns >= 0) & (across < width // side)
    )
    grid = (math.ceil(height / side), math.ceil(width / side))
    draws = noise.uniform(1 + channels, *grid)[:, :, down % grid[0]][..., across % grid[1]]
    both = tiles[:, (rows % side)[:, None], columns % side]
    pattern = torch.where(draws[:, :1] > 0.5, both[1], both[0]) * covered
    delta = pattern * _signs(draws[:, 1:], images)
    return _finish_patch(problem, delta)
