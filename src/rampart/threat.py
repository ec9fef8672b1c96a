"""The threat model: a norm and a strength, on pixels in [0, 1].

`eps` is a number or one strength per sample, `(N,)`; images are `(N, C, H, W)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.deferred import torch
from rampart.rows import row_norm, row_sum
from rampart.runtime import Noise
from rampart.tolerance import within
from rampart.units import Norm, format_eps, parse_eps, parse_norm

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ThreatModel:
    """The norm and strength that a model has to withstand; pixels stay in [0, 1].

    Attributes:
        norm: "linf", "l2" or "l1".
        eps: fraction of the pixel range; text such as "4/255" is parsed exactly.
    """

    norm: Norm
    eps: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", parse_norm(self.norm))
        object.__setattr__(self, "eps", parse_eps(self.eps, self.norm))

    def __str__(self) -> str:
        return f"{self.norm.capitalize()} {format_eps(self.eps)}"


_ORDER: dict[Norm, float] = {"linf": math.inf, "l2": 2, "l1": 1}
_DUAL: dict[Norm, float] = {"linf": 1, "l2": 2, "l1": math.inf}


def per_sample(eps: float | Tensor, images: Tensor) -> Tensor:
    """Return the strengths as (N,), with device and dtype of `images`."""
    if isinstance(eps, torch.Tensor):
        return eps.to(images.device, images.dtype).expand(len(images))
    # Not by `torch.as_tensor`: copying a number to a GPU waits for it.
    return images.new_full((), eps).expand(len(images))


def column(values: Tensor, images: Tensor) -> Tensor:
    """Return `values` (N,) in a shape that broadcasts over `images`."""
    return values.view(-1, *[1] * (images.ndim - 1))


def distance(perturbed: Tensor, images: Tensor, norm: Norm) -> Tensor:
    """Return the (N,) distances between images in `norm`."""
    return row_norm((perturbed - images).flatten(1), _ORDER[norm])


def dual(gradient: Tensor, norm: Norm) -> Tensor:
    """Return the dual norms (N,): the largest rise of a linear loss per unit distance in `norm`."""
    return row_norm(gradient.flatten(1), _DUAL[norm])


def box(images: Tensor, eps: float | Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the largest pixels of the Linf ball inside the pixel box.

    Clamping to them is the projection, so whoever projects often computes them once.
    """
    radius = column(per_sample(eps, images), images)
    return (images - radius).clamp_min_(0.0), (images + radius).clamp_max_(1.0)


def project(perturbed: Tensor, images: Tensor, eps: float | Tensor, norm: Norm) -> Tensor:
    """Return `perturbed` moved into the ball and the pixel box.

    Linf and L1: the nearest point. L2: scaled back onto the ball, then clipped to the box. Clipping
    does not leave the ball, because the center lies in the box.
    """
    if norm == "linf":
        return perturbed.clamp(*box(images, eps))
    own = per_sample(eps, images)
    if norm == "l1":
        return _pull_inside(_project_l1(perturbed, images, own), images, own, norm)
    delta = perturbed - images
    length = column(row_norm(delta.flatten(1)), images)
    scale = (column(own, images) / length.clamp_min(1e-12)).clamp_max(1.0)
    moved = (images + delta.mul_(scale)).clamp_(0.0, 1.0)
    return _pull_inside(moved, images, own, norm)


def _pull_inside(moved: Tensor, images: Tensor, eps: Tensor, norm: Norm) -> Tensor:
    """Return the points, each image that rounding put outside its ball pulled back.

    Each pixel of x + delta is rounded. In a small ball of many pixels this can add up: each pixel
    of such an image moves towards x by one unit in the last place, twice the rounding error.
    """
    inside = within(distance(moved, images, norm), eps)
    # Other devices would have to wait for the answer.
    if moved.device.type == "cpu" and bool(inside.all()):
        return moved
    return torch.where(column(inside, images), moved, moved.nextafter(images))


def round_inside(points: Tensor, images: Tensor, dtype: torch.dtype) -> Tensor:
    """Return points of a ball around the images in another type, without leaving the ball.

    Each value is rounded to the nearest one, or towards the image where that is farther from it.
    No pixel then moves farther than before, so every norm is kept.

    Args:
        points: (N, C, H, W), in the type of `images`.
        images: (N, C, H, W), exactly representable in `dtype`.
        dtype: type of the result.
    """
    rounded = points.to(dtype)
    if dtype == points.dtype:
        return rounded
    farther = (rounded.to(points.dtype) - images).abs() > (points - images).abs()
    return torch.where(farther, rounded.nextafter(images.to(dtype)), rounded)


def _project_l1(perturbed: Tensor, images: Tensor, eps: Tensor) -> Tensor:
    """Return the point of L1 ball and box nearest to `perturbed`.

    Croce & Hein 2021 (arXiv 2103.01208), proposition 2.1: each pixel's displacement shrinks by the
    same length, and is then cut at the box.
    """
    delta = (perturbed - images).flatten(1)
    size = delta.abs()
    # How far each pixel can move in its direction.
    origin = images.flatten(1)
    room = torch.where(delta > 0, 1 - origin, origin)
    moved = torch.minimum(size, room)
    shrunk = torch.minimum((size - _shrinkage(size, room, eps)[:, None]).clamp_min(0.0), room)
    # Rounding errors of many pixels must not add up beyond the ball.
    total = row_sum(shrunk).clamp_min(torch.finfo(shrunk.dtype).tiny)
    shrunk = shrunk * (eps / total).clamp_max(1.0)[:, None]
    outside = row_sum(moved) > eps
    moved = torch.where(outside[:, None], shrunk * delta.sign(), moved * delta.sign())
    inside = (~outside & (size <= room).all(1))[:, None]
    return torch.where(inside, perturbed.flatten(1), origin + moved).view_as(images).clamp(0.0, 1.0)


def _shrinkage(size: Tensor, room: Tensor, eps: Tensor) -> Tensor:
    """Return the (N,) λ at which sum(min(max(size - λ, 0), room)) = eps; 0 if it is less at 0.

    The sum is piecewise linear and falls with λ: a pixel begins to shrink at size - room and is 0
    from size on. The knots are sorted to find the segment on which the sum passes eps.

    Args:
        size: (N, D), at least 0.
        room: (N, D), at least 0.
        eps: (N,).
    """
    knots = torch.cat([(size - room).clamp_min(0.0), size], 1)
    knots, order = knots.sort(1)
    pixels = torch.where(order < size.shape[1], 1, -1).cumsum(1)
    falls = (knots.diff(dim=1) * pixels[:, :-1]).cumsum(1)
    total = row_sum(torch.minimum(size, room))
    # The last segment at whose start the sum is still above eps.
    segment = (total[:, None] - falls > eps[:, None]).sum(1, keepdim=True)
    start = knots.gather(1, segment)[:, 0]
    # On that segment the sum is linear in λ: solve for the pixels that shrink there.
    shrinking = (size > start[:, None]) & (size - room <= start[:, None])
    cut = row_sum(torch.where(size - room > start[:, None], room, 0.0))
    over = row_sum(torch.where(shrinking, size, 0.0)) + cut - eps
    return torch.maximum(over / shrinking.sum(1).clamp_min(1), start)


def random_start(images: Tensor, eps: float | Tensor, norm: Norm, noise: Noise) -> Tensor:
    """Return a point drawn uniformly from the ball, clipped to the box."""
    radius = column(per_sample(eps, images), images)
    shape = images.shape[1:]
    if norm == "linf":
        delta = noise.uniform(*shape).mul_(2).sub_(1).to(images.dtype)
        return (images + delta.mul_(radius)).clamp_(*box(images, eps))
    if norm == "l1":
        # Laplace numbers, scaled to a sum of 1, are uniform on the sphere. Half a unit of the
        # 24-bit grid keeps the logarithm finite; fp32 would round it away.
        sizes = -(noise.uniform(*shape).double() + 2**-25).log()
        laplace = torch.where(noise.child("sign").uniform(*shape) < 0.5, -sizes, sizes)
        fraction = noise.child("radius").uniform(1)[:, 0] ** (1 / shape.numel())
        delta = radius * column(fraction / row_sum(laplace.flatten(1).abs()), images) * laplace
    else:
        # A uniform point of a D-ball: a uniform direction at radius u^(1/D).
        fraction = noise.child("radius").uniform(1)[:, 0] ** (1 / shape.numel())
        delta = radius * column(fraction, images) * steepest(noise.normal(*shape), "l2")
    return project(images + delta.to(images.dtype), images, eps, norm)


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """Return the unit direction in `norm` along which a linear loss rises fastest.

    It is zero where the gradient is zero.
    """
    if norm == "linf":
        return gradient.sign()
    if norm == "l1":
        peaks = gradient.abs() == column(dual(gradient, "l1"), gradient)
        return gradient.sign() * peaks / column(peaks.flatten(1).sum(1), gradient)
    # Scale by the largest entry first: the squares of a tiny gradient would underflow.
    largest = row_norm(gradient.flatten(1), torch.inf)
    scaled = gradient / column(largest.clamp_min(torch.finfo(gradient.dtype).tiny), gradient)
    length = row_norm(scaled.flatten(1)).clamp_min(1.0)
    return scaled / column(length, gradient)
