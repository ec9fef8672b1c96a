"""Augmentation of batches on the device, with separate draws for each image.

The recipe of the publication (Ngnawé et al. 2026): horizontal flip with p = 0.5, color jitter of
0.25 in brightness, contrast and saturation, and a random rotation of unstated range.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rampart.devices import constant
from rampart.errors import InvalidArgument
from rampart.runtime import Noise
from rampart.threat import column

#: Weights of RGB in gray (ITU-R BT.601), as in PIL and torchvision.
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Augment:
    """Flip, jitter and rotate: `augment(images, noise) -> images`, both (N, C, H, W) in [0, 1].

    Attributes:
        flip: probability of a horizontal flip.
        jitter: brightness, contrast and saturation are scaled by U[1 - jitter, 1 + jitter]; only
            RGB images have saturation.
        rotation: the angle is U[-rotation, rotation] degrees; reflection fills the corners.
    """

    flip: float = 0.5
    jitter: float = 0.25
    rotation: float = 15.0

    def __post_init__(self) -> None:
        for name, limit in (("flip", 1), ("jitter", 1), ("rotation", 180)):
            value = getattr(self, name)
            if not 0 <= value <= limit:
                raise InvalidArgument(f"augment.{name}", value, f"a number in [0, {limit}]")

    @classmethod
    def none(cls) -> "Augment":
        """Return no augmentation: images do not change."""
        return cls(flip=0.0, jitter=0.0, rotation=0.0)

    def __call__(self, images: Tensor, noise: Noise) -> Tensor:
        """Return augmented images, (N, C, H, W) in [0, 1]; `noise` has one key per image."""
        if self.flip:
            images = turn_over(images, self.flips(noise))
        if self.jitter:
            images = jitter(images, 1 + self.jitter * (2 * noise.child("jitter").uniform(3) - 1))
        if self.rotation:
            angle = self.rotation * (2 * noise.child("rotation").uniform(1)[:, 0] - 1)
            images = rotate(images, angle)
        return images

    def flips(self, noise: Noise) -> Tensor:
        """Return (N,) bool, which images are flipped under this noise."""
        return noise.child("flip").uniform(1)[:, 0] < self.flip


def turn_over(images: Tensor, flipped: Tensor) -> Tensor:
    """Flip the images (N, C, H, W) horizontally where the (N,) mask holds; twice is once undone."""
    return torch.where(column(flipped, images), images.flip(-1), images)


def jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, contrast and saturation in this order, and clamp to [0, 1] after each.

    Args:
        images: (N, C, H, W), pixels in [0, 1]; saturation only for C = 3.
        factors: (N, 3), of brightness, contrast and saturation; 1 changes nothing.
    """
    brightness, contrast, saturation = (column(f, images) for f in factors.unbind(1))
    images = (images * brightness).clamp(0, 1)
    middle = gray(images).mean((1, 2, 3), keepdim=True)
    images = (middle + contrast * (images - middle)).clamp(0, 1)
    if images.shape[1] != 3:
        return images
    shade = gray(images)
    return (shade + saturation * (images - shade)).clamp(0, 1)


def gray(images: Tensor) -> Tensor:
    """Return the luma, (N, 1, H, W); the mean of the channels if there are not three."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    weights = constant(_LUMA, images.device, images.dtype)
    return (images * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Rotate each image about its center: bilinear, with reflection in the corners.

    Args:
        images: (N, C, H, W), pixels in [0, 1].
        degrees: (N,), counterclockwise.
    """
    height, width = images.shape[-2:]
    radians = degrees.to(images.dtype) * (math.pi / 180)
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
    # Positions run from -1 to 1 along both sides, so a rotation needs the aspect ratio.
    rows = [cos, -sin * (height / width), zero, sin * (width / height), cos, zero]
    theta = torch.stack(rows, dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return turned.clamp(0, 1)
