"""The photos of frost that ImageNet-C lays over an image.

They are not part of Rampart. The package imagecorruptions (Apache-2.0) contains them; they are read
from its folder, and its code is not imported.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from rampart.errors import MissingExtra
from rampart.metrics.curve import Floats

#: ImageNet-C draws among five of its six photos.
PHOTOS = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
#: How much the photos are shrunk for smaller images.
_SCALES = {32: 0.2, 64: 0.3, 224: 1.0}


def require_photos() -> Path:
    """Return the folder of the photos.

    Raises:
        MissingExtra: the package that contains them is not installed.
    """
    found = find_spec("imagecorruptions")
    folder = Path(found.origin).parent / "frost" if found and found.origin else None
    if folder is None or not all((folder / name).is_file() for name in PHOTOS):
        raise MissingExtra("imagecorruptions", "corruptions", "the corruption frost")
    return folder


@lru_cache(maxsize=15)
def frost_photo(number: int, side: int) -> Floats:
    """Return a photo for images of this side, (H, W, 3) in [0, 1]; do not change it."""
    pixels: Floats = np.asarray(
        Image.open(require_photos() / PHOTOS[number]).convert("RGB"), np.float64
    )
    scale = _SCALES[side]
    if scale != 1:
        height, width = (round(length * scale) for length in pixels.shape[:2])
        rows, columns = np.meshgrid(_centers(height, scale), _centers(width, scale), indexing="ij")
        channels = [
            ndimage.map_coordinates(pixels[..., channel], (rows, columns), order=1, mode="nearest")
            for channel in range(3)
        ]
        pixels = np.round(np.stack(channels, -1)).astype(np.float64)
    return pixels / 255


def _centers(count: int, scale: float) -> Floats:
    """Return where the centers of the pixels of a shrunken line lie in the line."""
    return (np.arange(count, dtype=np.float64) + 0.5) / scale - 0.5
