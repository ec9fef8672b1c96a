"""Damaged images in every format, and the command that reads them."""

from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, features

from benchmarks.fuzzing.configurations import damaged

#: Names of formats in PIL, with the endings of their files.
FORMATS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "PPM": "ppm"}
FORMATS |= {name: name.lower() for name in ("WEBP", "AVIF") if features.check(name.lower())}


def damage_image(random: Random, run: Path, name: str, folder: Path) -> list[str]:
    """Write a damaged image into `folder`/photos; return the command that predicts its class.

    Args:
        random: draws everything.
        run: whose model predicts.
        name: of the format in PIL.
        folder: of this attempt.
    """
    pixels = np.random.default_rng(random.randrange(2**32)).integers(0, 256, (24, 24, 3))
    buffer = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, name)
    photos = folder / "photos"
    photos.mkdir()
    (photos / f"a.{FORMATS[name]}").write_bytes(damaged(random, buffer.getvalue()))
    return ["predict", str(run), "photos", "-o", "predictions.csv"]
