"""Corrupt an image: fifteen kinds at five severities."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rampart.corruptions.blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from rampart.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate
from rampart.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from rampart.corruptions.parameters import parameter_of
from rampart.corruptions.weather import brightness, fog, frost, snow
from rampart.metrics.curve import Floats
from rampart.units import Corruption

#: Takes pixels in [0, 1], (H, W, 3), the parameter and the source of all draws.
Kernel = Callable[[Floats, Any, Generator], Floats]

KERNELS: dict[Corruption, Kernel] = {
    "gaussian-noise": gaussian_noise,
    "shot-noise": shot_noise,
    "impulse-noise": impulse_noise,
    "defocus-blur": defocus_blur,
    "glass-blur": glass_blur,
    "motion-blur": motion_blur,
    "zoom-blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic-transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg-compression": jpeg_compression,
}


def corrupt(
    image: NDArray[np.uint8], kind: Corruption, severity: int, draws: Generator
) -> NDArray[np.uint8]:
    """Return a corrupted image of eight bits.

    Args:
        image: (H, H, 3), of a side for which the corruption is defined.
        kind: of the corruption.
        severity: 1 to 5.
        draws: the source of all draws. The same source gives the same noise at every severity.

    Raises:
        InvalidArgument: no parameters are published for images of this side, or the severity is
            not 1 to 5.
        MissingExtra: the photos of frost are not installed.

    Example:
        >>> black = np.zeros((32, 32, 3), np.uint8)
        >>> corrupt(black, "brightness", 5, np.random.default_rng(0)).max()
        np.uint8(76)
    """
    parameter = parameter_of(kind, len(image), severity)
    pixels = KERNELS[kind](image / 255, parameter, draws)
    # Cut to whole gray levels as ImageNet-C does; rounding must not lose one of an exact value.
    return np.floor(np.clip(pixels, 0, 1) * 255 + 1e-9).astype(np.uint8)
