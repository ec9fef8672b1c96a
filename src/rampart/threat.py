"""The threat model: a norm and a strength, on pixels in [0, 1].

`eps` is a number or one strength per sample, `(N,)`; images are `(N, C, H, W)`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rampart.runtime import Noise
from rampart.units import Norm, format_eps, parse_eps, parse_norm


@dataclass(frozen=True)
class ThreatModel:
    """What the adversary may do: move an image by at most `eps` in `norm`, inside [0, 1].

    Attributes:
        norm: "linf" or "l2".
        eps: fraction of the pixel range; text such as "4/255" is parsed exactly.
    """

    norm: Norm = "linf"
    eps: float = 4 / 255

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", parse_norm(self.norm))
        object.__setattr__(self, "eps", parse_eps(self.eps, self.norm))

    def __str__(self) -> str:
        return f"{'Linf' if self.norm == 'linf' else 'L2'} {format_eps(self.eps)}"


def per_sample(eps: float | Tensor, images: Tensor) -> Tensor:
    """Return the strengths as (N,) on the device and in the precision of `images`."""
    return torch.as_tensor(eps, device=images.device, dtype=images.dtype).expand(len(images))


def column(values: Tensor, images: Tensor) -> Tensor:
    """Reshape (N,) so that it broadcasts over `images`."""
    return values.view(-1, *[1] * (images.ndim - 1))


def distance(perturbed: Tensor, images: Tensor, norm: Norm) -> Tensor:
    """Return the (N,) distances between images in `norm`."""
    return torch.linalg.vector_norm(
        (perturbed - images).flatten(1), ord=torch.inf if norm == "linf" else 2, dim=1
    )


def project(perturbed: Tensor, images: Tensor, eps: float | Tensor, norm: Norm) -> Tensor:
    """Return the point of ball and pixel box that belongs to `perturbed`.

    Linf: the nearest point. L2: scaled back onto the ball, then clipped to the box; clipping
    towards a box that holds the centre never leaves the ball.
    """
    radius = column(per_sample(eps, images), images)
    if norm == "linf":
        moved = torch.minimum(torch.maximum(perturbed, images - radius), images + radius)
    else:
        delta = perturbed - images
        length = column(distance(perturbed, images, "l2"), images)
        moved = images + delta * (radius / length.clamp_min(1e-12)).clamp_max(1.0)
    return moved.clamp(0.0, 1.0)


def random_start(images: Tensor, eps: float | Tensor, norm: Norm, noise: Noise) -> Tensor:
    """Return a point drawn uniformly from the ball, clipped to the box."""
    radius = column(per_sample(eps, images), images)
    shape = images.shape[1:]
    if norm == "linf":
        delta = radius * (2 * noise.uniform(*shape) - 1)
    else:
        # A uniform point of a D-ball: a uniform direction at radius u^(1/D).
        share = noise.child("radius").uniform(1)[:, 0] ** (1 / shape.numel())
        delta = radius * column(share, images) * steepest(noise.normal(*shape), "l2")
    return project(images + delta.to(images.dtype), images, eps, norm)


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """Return the direction of unit length in `norm` along which a linear loss rises fastest.

    Zero where the gradient is zero.
    """
    if norm == "linf":
        return gradient.sign()
    # Divided by its largest entry first: the squares of a tiny gradient would underflow.
    largest = torch.linalg.vector_norm(gradient.flatten(1), ord=torch.inf, dim=1)
    scaled = gradient / column(largest.clamp_min(torch.finfo(gradient.dtype).tiny), gradient)
    length = torch.linalg.vector_norm(scaled.flatten(1), dim=1).clamp_min(1.0)
    return scaled / column(length, gradient)
