"""Digital corruptions: contrast, elastic deformation, large pixels and JPEG."""

import io

import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy import ndimage

from rampart.metrics.curve import Floats


def contrast(pixels: Floats, factor: float, draws: Generator) -> Floats:
    """Move each value towards the mean of its channel."""
    mean = pixels.mean((0, 1))
    return (pixels - mean) * factor + mean


def elastic_transform(
    pixels: Floats, parameter: tuple[float, float, float], draws: Generator
) -> Floats:
    """Shear the image by moving three points at random, then shift its pixels smoothly."""
    size, smoothness, shear = parameter
    side = len(pixels)
    sheared = _sheared(pixels, draws.uniform(-shear, shear, (3, 2)))
    across, down = (
        ndimage.gaussian_filter(
            draws.uniform(-1, 1, (side, side)), smoothness, mode="reflect", truncate=3
        )
        * size
        for _ in range(2)
    )
    rows, columns = np.mgrid[:side, :side]
    return _sampled(sheared, rows + down, columns + across, "reflect")


def pixelate(pixels: Floats, factor: float, draws: Generator) -> Floats:
    """Shrink the image by a factor, and enlarge it again."""
    side = len(pixels)
    small = int(side * factor)
    picture = as_picture(pixels).resize((small, small), Image.Resampling.BOX)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX)) / 255


def jpeg_compression(pixels: Floats, quality: int, draws: Generator) -> Floats:
    """Save the image as JPEG and read it."""
    file = io.BytesIO()
    as_picture(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)) / 255


def as_picture(pixels: Floats) -> Image.Image:
    """Return pixels in [0, 1], (H, W, 3), as a picture of eight bits."""
    return Image.fromarray(np.round(pixels * 255).astype(np.uint8))


def _sheared(pixels: Floats, shifts: Floats) -> Floats:
    """Return the image under the affine map that shifts three corners of its middle square."""
    side = len(pixels)
    center, reach = side // 2, side // 3
    corners = center + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    # Rows are (x, y, 1): where a pixel of the result comes from.
    ones = np.ones((3, 1))
    back = np.linalg.solve(np.hstack([corners + shifts, ones]), np.hstack([corners, ones]))
    rows, columns = np.mgrid[:side, :side]
    places = np.stack([columns, rows, np.ones_like(rows)], -1) @ back[:, :2]
    return _sampled(pixels, places[..., 1], places[..., 0], "mirror")


def _sampled(pixels: Floats, rows: Floats, columns: Floats, edge: str) -> Floats:
    """Return the image at these places, linearly between pixels."""
    channels = [
        ndimage.map_coordinates(pixels[..., channel], (rows, columns), order=1, mode=edge)
        for channel in range(pixels.shape[-1])
    ]
    return np.stack(channels, -1)
