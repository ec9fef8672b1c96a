"""Noise: Gaussian noise, shot noise and impulse noise."""

from numpy.random import Generator

from rampart.metrics.curve import Floats


def gaussian_noise(pixels: Floats, scale: float, draws: Generator) -> Floats:
    """Add normal noise with this deviation to each value."""
    return pixels + draws.normal(0.0, scale, pixels.shape)


def shot_noise(pixels: Floats, photons: float, draws: Generator) -> Floats:
    """Count photons, of which a white pixel receives this many on average (Poisson)."""
    return draws.poisson(pixels * photons) / photons


def impulse_noise(pixels: Floats, amount: float, draws: Generator) -> Floats:
    """Turn this fraction of the values black or white, with equal chances."""
    hit = draws.random(pixels.shape) <= amount
    white = draws.random(pixels.shape) <= 0.5
    corrupted = pixels.copy()
    corrupted[hit] = white[hit]
    return corrupted
