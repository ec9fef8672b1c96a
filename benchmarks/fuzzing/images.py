"""Damaged images in every format, and the command that reads them."""

from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, features

from benchmarks.fuzzing.cases import Case
from benchmarks.fuzzing.damage import damaged
from benchmarks.fuzzing.material import Material

#: Names of formats in PIL, with the endings of their files.
FORMATS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "PPM": "ppm"}
FORMATS |= {name: name.lower() for name in ("WEBP", "AVIF") if features.check(name.lower())}


def damaged_image(material: Material, name: str, random: Random, folder: Path) -> Case:
    """Write a damaged image into `folder`/photos, whose class a command predicts.

    Args:
        material: with the run whose model predicts.
        name: of the format in PIL.
        random: draws everything.
        folder: of this attempt.
    """
    pixels = np.random.default_rng(random.randrange(2**32)).integers(0, 256, (24, 24, 3))
    buffer = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, name)
    photos = folder / "photos"
    photos.mkdir()
    (photos / f"a.{FORMATS[name]}").write_bytes(damaged(random, buffer.getvalue()))
    return Case(["predict", str(material.run), "photos", "-o", "predictions.csv"])
