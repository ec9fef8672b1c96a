"""Weather: snow, frost and fog; and brightness, as on a sunny day."""

import numpy as np
from numpy.random import Generator

from rampart.corruptions.blur import moved, zoomed
from rampart.corruptions.frost_photos import PHOTOS, frost_photo
from rampart.metrics.curve import Floats

#: Weights of red, green and blue in the lightness of a pixel.
_LIGHTNESS = (0.299, 0.587, 0.114)


def snow(
    pixels: Floats,
    parameter: tuple[float, float, float, float, int, float, float],
    draws: Generator,
) -> Floats:
    """Bleach the image and let flakes fall, in two layers that mirror each other."""
    mean, deviation, zoom, threshold, radius, sigma, kept = parameter
    flakes = zoomed(draws.normal(mean, deviation, pixels.shape[:2])[..., None], zoom)
    flakes = np.clip(np.where(flakes < threshold, 0.0, flakes), 0, 1)
    flakes = np.floor(flakes * 255) / 255
    flakes = moved(flakes, radius, sigma, draws.uniform(-135, -45))
    flakes = np.round(flakes * 255) / 255
    bleached = np.maximum(pixels, (pixels @ _LIGHTNESS)[..., None] * 1.5 + 0.5)
    return kept * pixels + (1 - kept) * bleached + flakes + np.rot90(flakes, 2)


def frost(pixels: Floats, parameter: tuple[float, float], draws: Generator) -> Floats:
    """Lay a part of a photo of frost over the image."""
    own, other = parameter
    side = len(pixels)
    photo = frost_photo(int(draws.integers(len(PHOTOS))), side)
    top, left = (int(draws.integers(0, length - side)) for length in photo.shape[:2])
    part = photo[top : top + side, left : left + side]
    return own * pixels + other * part


def fog(pixels: Floats, parameter: tuple[float, float], draws: Generator) -> Floats:
    """Mix the image with clouds."""
    strength, fade = parameter
    side = len(pixels)
    clouds = _plasma(1 << (side - 1).bit_length(), fade, draws)[:side, :side, None]
    brightest = pixels.max()
    return (pixels + strength * clouds) * brightest / (brightest + strength)


def brightness(pixels: Floats, change: float, draws: Generator) -> Floats:
    """Raise the value of each pixel in HSV; hue and saturation remain."""
    value = pixels.max(-1, keepdims=True)
    raised = np.clip(value + change, 0, 1)
    return np.where(value > 0, pixels * raised / np.where(value > 0, value, 1), raised)


def _plasma(side: int, fade: float, draws: Generator) -> Floats:
    """Return clouds by the diamond-square algorithm, (side, side) in [0, 1]; side a power of 2.

    Each round places the centers of the squares and of the diamonds at the mean of their four
    neighbors, and shifts them at random, less in each round.
    """
    plane, step, size = np.zeros((side, side)), side, 100.0

    def place(sums: Floats) -> Floats:
        return sums / 4 + size * draws.uniform(-size, size, sums.shape)

    while step >= 2:
        half = step // 2
        corners = plane[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        plane[half::step, half::step] = place(pairs + np.roll(pairs, -1, 1))
        centers = plane[half::step, half::step]
        above = centers + np.roll(centers, 1, 0) + corners + np.roll(corners, -1, 1)
        plane[::step, half::step] = place(above)
        beside = centers + np.roll(centers, 1, 1) + corners + np.roll(corners, -1, 0)
        plane[half::step, ::step] = place(beside)
        step, size = half, size / fade
    plane -= plane.min()
    return plane / plane.max()
