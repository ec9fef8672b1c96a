"""PNGs with 16 bits per channel, as pictures with 8.

PNG defines a sample of 16 bits as a fraction of 65535 and one of 8 bits as a fraction of 255, so
the value v becomes v / 257, rounded (PNG, third edition, "Sample depth rescaling"). PIL alone cuts
off the lower byte of colors, and clips grays.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rampart.data.pictures import turn_of

#: Format of the samples, as PIL calls it, to the format that gives their lower bytes.
_LOWER = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
_GRAY, _GRAY_ALPHA = "I;16B", "LA;16B"


def has_16_bits(picture: Image.Image) -> bool:
    """Whether a picture is a PNG with 16 bits per channel.

    That is known of colors until they are decoded.
    """
    gray = picture.mode.startswith("I")
    return picture.format == "PNG" and (gray or _format(picture).endswith(";16B"))


def to_8_bits(picture: Image.Image) -> Image.Image:
    """Return a PNG with 16 bits per channel upright, in "L", "LA", "RGB" or "RGBA".

    A picture with a transparent color gets an alpha channel.
    """
    deep, hidden = _samples(picture), picture.info.get("transparency")
    small = Image.fromarray(rescale(deep))
    if hidden is not None:
        # The color that means transparent has 16 bits too.
        same = (deep == np.asarray(hidden)).reshape(*deep.shape[:2], -1).all(-1)
        small.putalpha(Image.fromarray(np.where(same, 0, 255).astype(np.uint8)))
    turn = turn_of(picture)
    return small if turn is None else small.transpose(turn)


def rescale(deep: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return v / 257, rounded; 257 = 65535 / 255."""
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _format(picture: Image.Image) -> str:
    """Return the format of the samples in the file; "" if they are decoded already."""
    tiles = getattr(picture, "tile", None)
    found = tiles[0][3] if tiles else ""
    return found if isinstance(found, str) else ""


def _samples(picture: Image.Image) -> NDArray[np.uint16]:
    """Return the samples, (H, W) or (H, W, C)."""
    kind = _format(picture)
    if kind in ("", _GRAY):
        return np.asarray(picture).astype(np.uint16)
    if kind == _GRAY_ALPHA:
        # The four bytes of a pixel, as they stand in the file.
        every = _decode(picture, "RGBA")
        return _join(every[..., ::2], every[..., 1::2])
    return _join(_decode(picture, kind), _decode(picture, _LOWER[kind]))


def _decode(picture: Image.Image, kind: str) -> NDArray[np.uint8]:
    """Decode the bytes of the samples that PIL reads in a format; the picture stays undecoded."""
    file = getattr(picture, "fp", None)
    assert file is not None, "a picture that is not decoded has its file open"
    file.seek(0)
    with Image.open(io.BytesIO(file.read())) as again:
        (tile,) = again.tile
        again.tile = [tile._replace(args=kind)]
        return np.asarray(again)


def _join(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.left_shift(upper, 8, dtype=np.uint16) | lower
