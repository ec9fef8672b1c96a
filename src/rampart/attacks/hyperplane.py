"""FAB's projection: the shortest displacement inside the pixel box onto a hyperplane.

Croce & Hein 2020 (arXiv 1907.02044), problem 1 and appendix A. Under Linf and L2 it solves the
dual: one scalar equation per sample, piecewise linear and concave. Newton's method from the left
reaches the exact root in a few steps, without sorting. Under L1 the pixels with the largest weights
move first, as far as the box allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rampart.deferred import torch
from rampart.rows import row_sum
from rampart.units import Norm

if TYPE_CHECKING:
    from torch import Tensor


def to_hyperplane(points: Tensor, normal: Tensor, gap: Tensor, norm: Norm) -> Tensor:
    """Return the shortest displacements d with normal · d = gap and points + d in [0, 1].

    If the hyperplane lies outside the box, points + d is the corner nearest to it. A pixel whose
    entry in `normal` is zero does not move.

    Args:
        points: (N, D), in [0, 1].
        normal: (N, D).
        gap: (N,).
        norm: the norm in which the length of d is minimal.
    """
    normal = torch.where(gap[:, None] < 0, -normal, normal)
    largest = normal.abs().amax(1).clamp_min(torch.finfo(normal.dtype).tiny)
    # Scale the largest entry to 1: the squares of a tiny gradient would underflow.
    weight, gap = normal.abs() / largest[:, None], gap.abs() / largest
    room = torch.where(normal > 0, 1 - points, points) * (normal != 0)
    corner = row_sum(weight * room) <= gap
    gap = gap.masked_fill(corner, 0.0)
    if norm == "l1":
        moves = _greedy(weight, room, gap)
    else:
        pace = torch.ones_like(weight) if norm == "linf" else weight
        moves = _cap_step(weight, pace, room, gap)
    return torch.where(corner[:, None], room, moves) * normal.sign()


def _greedy(weight: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """Return moves that fill `room` by descending weight until weight · moves = gap; all (N, D)."""
    order = weight.argsort(dim=1, descending=True, stable=True)
    sorted_weight = weight.gather(1, order)
    gains = sorted_weight * room.gather(1, order)
    left = gap[:, None] - gains.cumsum(1) + gains
    gains = torch.minimum(gains, left.clamp_min(0.0))
    tiny = torch.finfo(weight.dtype).tiny
    return torch.empty_like(room).scatter(1, order, gains / sorted_weight.clamp_min(tiny))


def _cap_step(weight: Tensor, pace: Tensor, room: Tensor, gap: Tensor) -> Tensor:
    """Return min(λ · pace, room) for the λ >= 0 at which weight · min(λ · pace, room) = gap.

    The sum is concave in λ. Each Newton step solves for the pixels that are still free and does not
    pass the root; some pixels then hit their limit. The solution is exact once no further pixel
    does. All arguments are (N, D), `gap` is (N,).
    """
    free = room > 0
    slopes, caps = weight * pace, weight * room
    while True:
        slope = row_sum(torch.where(free, slopes, 0.0))
        rest = (gap - row_sum(torch.where(free, 0.0, caps))).clamp_min(0.0)
        scale = rest / slope.clamp_min(torch.finfo(slope.dtype).tiny)
        moves = scale[:, None] * pace
        still = free & (moves < room)
        if torch.equal(still, free):
            return torch.where(free, moves, room)
        free = still
