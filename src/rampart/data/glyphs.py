"""The embedded source task: letters and symbols in the typefaces of matplotlib.

A backbone pretrained on it has never seen a decimal digit, so handwritten digits are a new task.
Half of the images are pooled to 8 x 8 and stretched back, which blurs them like the digits.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rampart.data.splits import InMemory, Split, Splits
from rampart.deferred import F, torch
from rampart.errors import DataError
from rampart.runtime import Noise

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_SIZE = 16
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: Greek and Cyrillic letters that do not look like another letter.
GREEK = "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθικλμνξπρστυφχψω"
CYRILLIC = "БДЖЗИЙЛЦЧШЩЪЫЬЭЮЯбвгджзийлмнптфцчшщъыьэюя"
SYMBOLS = "!?#$%&@+=<>*~{}[]()/\\^|"
GLYPHS = LATIN + GREEK + CYRILLIC + SYMBOLS

#: Typefaces with all glyphs.
FULL_FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
)
#: Typefaces of TeX; only their Latin letters have the usual code points.
LATIN_FACES = ("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10")

#: Number of images of each class.
PER_CLASS = {"train": 70, "validation": 5, "test": 5}
_CANVAS = 64
_POINTS = 50


def glyphs(seed: int = 0) -> Splits:
    """Return generated images, (1, 16, 16), of 149 classes: 70, 5 and 5 of each.

    Args:
        seed: seed of the data: typeface, distortion and blur of every image.

    Raises:
        DataError: matplotlib lacks a typeface.
    """
    stencils = [torch.stack([_draw(glyph, face) for face in _faces(glyph)]) for glyph in GLYPHS]
    return Splits.of({name: _split(stencils, name, seed) for name in PER_CLASS})


def _faces(glyph: str) -> tuple[str, ...]:
    return FULL_FACES + LATIN_FACES if glyph in LATIN else FULL_FACES


def _draw(glyph: str, face: str) -> Tensor:
    """Return (64, 64) float32 in [0, 1]: the centered glyph, bright on dark."""
    picture = Image.new("L", (_CANVAS, _CANVAS))
    center = _CANVAS / 2
    font = _font(face)
    left, top, right, bottom = font.getbbox(glyph)
    corner = (center - (left + right) / 2, center - (top + bottom) / 2)
    ImageDraw.Draw(picture).text(corner, glyph, fill=255, font=font)
    return torch.from_numpy(np.array(picture)).float() / 255


@cache
def _font(face: str) -> ImageFont.FreeTypeFont:
    import matplotlib

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{face}.ttf")
    if not path.is_file():
        raise DataError(f"typeface '{path}' is missing; install matplotlib from PyPI.")
    return ImageFont.truetype(path, _POINTS)


def _split(stencils: list[Tensor], name: str, seed: int) -> Split:
    count = PER_CLASS[name]
    labels = np.repeat(np.arange(len(stencils), dtype=np.int64), count)
    noise = Noise.of(seed, torch.arange(len(labels)), "glyphs", name)
    fractions = noise.child("face").uniform(1)[:, 0].tolist()
    chosen = [
        stencils[label][int(fraction * len(stencils[label]))]
        for label, fraction in zip(labels, fractions, strict=True)
    ]
    images = blur_half(distort(torch.stack(chosen)[:, None], noise), noise)
    ids = [f"{name}/U+{ord(GLYPHS[label]):04X}/{i}" for i, label in enumerate(labels)]
    pixels = InMemory((images * 255).round().to(torch.uint8))
    return Split(ids, labels, list(GLYPHS), pixels)


def distort(stencils: Tensor, noise: Noise) -> Tensor:
    """Rotate, shear, scale and shift each drawing at random; (N, 1, 64, 64) to (N, 1, 16, 16)."""
    draws = 2 * noise.child("affine").uniform(6) - 1
    turn, shear, wide, high, across, down = draws.unbind(1)
    # Similar to handwriting: up to 11 degrees, slanted, narrow, shifted by up to a pixel.
    turn, shear = turn * 0.2, shear * 0.25
    wide, high = 1 / (1.1 + 0.35 * wide), 1 / (1.4 + 0.25 * high)
    rows = [wide * turn.cos(), wide * (shear - turn.sin()), across / 8]
    rows += [high * turn.sin(), high * turn.cos(), down / 8]
    grid = F.affine_grid(
        torch.stack(rows, 1).view(-1, 2, 3), list(stencils.shape), align_corners=False
    )
    moved = F.grid_sample(stencils, grid, align_corners=False)
    return F.avg_pool2d(moved, _CANVAS // IMAGE_SIZE).clamp(0, 1)


def blur_half(images: Tensor, noise: Noise) -> Tensor:
    """Pool a random half of the images to 8 x 8 and stretch them back."""
    small = F.avg_pool2d(images, 2)
    blurred = F.interpolate(small, size=images.shape[-2:], mode="bilinear")
    half = noise.child("blur").uniform(1, 1, 1) < 0.5
    return torch.where(half, blurred, images)
