"""Blur: defocus, frosted glass, motion and zoom."""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

from rampart.metrics.curve import Floats


def defocus_blur(pixels: Floats, parameter: tuple[float, float], draws: Generator) -> Floats:
    """Average over a disk, whose edge is smoothed."""
    kernel = _disk(*parameter)
    margin = len(kernel) // 2
    edges = ((margin, margin), (margin, margin), (0, 0))
    # The disk is symmetric, so that convolution and correlation are the same.
    return fftconvolve(np.pad(pixels, edges, "reflect"), kernel[..., None], "valid", axes=(0, 1))


def glass_blur(pixels: Floats, parameter: tuple[float, int, int], draws: Generator) -> Floats:
    """Blur, replace each pixel by one nearby, row by row from the last pixel, and blur again."""
    sigma, reach, rounds = parameter
    height, width, channels = pixels.shape
    blurred = np.floor(_smooth(pixels, sigma) * 255)
    rows, columns = (np.arange(side - reach, reach, -1) for side in (height, width))
    places = (rows[:, None] * width + columns).ravel()
    order = list(range(height * width))
    for _ in range(rounds):
        across, down = draws.integers(-reach, reach, (len(places), 2)).T
        # One after another: a pixel may be taken from a place that was replaced before.
        for place, source in zip(
            places.tolist(), (places + down * width + across).tolist(), strict=True
        ):
            order[place] = order[source]
    shuffled = blurred.reshape(-1, channels)[order].reshape(pixels.shape)
    return _smooth(shuffled / 255, sigma)


def motion_blur(pixels: Floats, parameter: tuple[int, float], draws: Generator) -> Floats:
    """Blur along a direction within 45 degrees of the horizontal, rounded to whole gray levels."""
    return np.round(moved(pixels, *parameter, angle=draws.uniform(-45, 45)) * 255) / 255


def zoom_blur(pixels: Floats, parameter: tuple[float, float], draws: Generator) -> Floats:
    """Average the image and enlarged copies of it."""
    end, step = parameter
    factors = np.arange(1, end, step)
    total = pixels + sum(zoomed(pixels, factor) for factor in factors)
    return total / (len(factors) + 1)


def moved(pixels: Floats, radius: int, sigma: float, angle: float) -> Floats:
    """Return the weighted mean of copies that are shifted ever farther in one direction.

    ImageNet-C calls ImageMagick's motion blur; this is its rule, one whole pixel at a time, with
    the edge repeated, as the package imagecorruptions writes it.

    Args:
        pixels: (H, W, channels).
        radius: half the number of copies.
        sigma: of the weights, half of a bell curve.
        angle: of the direction, in degrees.
    """
    count = 2 * radius + 1
    weights = np.exp(-(np.arange(count) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    down, across = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    height, width = pixels.shape[:2]
    blurred = np.zeros_like(pixels)
    for step, weight in enumerate(weights):
        dy, dx = -math.ceil(step * down - 0.5), -math.ceil(step * across - 0.5)
        if abs(dy) >= height or abs(dx) >= width:
            break
        rows = np.clip(np.arange(height) - dy, 0, height - 1)
        columns = np.clip(np.arange(width) - dx, 0, width - 1)
        blurred += weight * pixels[rows[:, None], columns]
    return blurred


def zoomed(pixels: Floats, factor: float) -> Floats:
    """Return the center of an image, enlarged linearly to the whole size; (H, H, channels)."""
    side = len(pixels)
    part = math.ceil(side / factor)
    start = (side - part) // 2
    center = pixels[start : start + part, start : start + part]
    large = ndimage.zoom(center, (factor, factor, 1), order=1)
    trim = (len(large) - side) // 2
    result: Floats = large[trim : trim + side, trim : trim + side]
    return result


def _smooth(pixels: Floats, sigma: float) -> Floats:
    smooth: Floats = ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest")
    return smooth


def _disk(radius: float, edge: float) -> NDArray[np.float64]:
    """Return a disk as a kernel, its edge smoothed by a small bell curve.

    A disk of radius 8 touches the edge of its kernel. Smoothing then adds to its sum, as in
    ImageNet-C, so that the image becomes a little brighter.
    """
    reach, half = (8, 1) if radius <= 8 else (int(radius), 2)
    line = np.arange(-reach, reach + 1)
    inside = line[:, None] ** 2 + line**2 <= radius**2
    disk = inside / inside.sum()
    weights = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * edge**2))
    for axis in (0, 1):
        disk = ndimage.correlate1d(disk, weights / weights.sum(), axis, mode="mirror")
    return disk
