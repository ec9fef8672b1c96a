"""Tiny data, and a finished run on them, that the attempts damage or name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.fuzzing.attempts import attempt

#: Settings of the smallest run that goes through training and evaluation.
SMALL = {
    "model.name": "rampart_glyphnet",
    "model.pretrained": "false",
    "model.options.in_chans": "3",
    "data.image_size": "16",
    "schedule": "fix",
    "threat.eps": "8/255",
    "training.epochs": "1",
    "training.batch_size": "6",
    "attack.steps": "1",
    "evaluation.attack.steps": "1",
}


@dataclass(frozen=True)
class Material:
    """What attempts work with.

    Attributes:
        root: folder of all of it.
        photos: a folder of images.
        run: a finished run, trained and evaluated on them.
    """

    root: Path
    photos: Path
    run: Path


def write_material(root: Path) -> Material:
    """Write the images and train the run below `root`."""
    photos = write_photos(root / "photos")
    made = attempt([*train_words(photos), "-o", "run"], root)
    if made.status:
        raise SystemExit(f"the run that is to be damaged failed: {made.err}")
    return Material(root, photos, root / "run")


def train_words(photos: Path, more: Mapping[str, str] | None = None) -> list[str]:
    """Return the words of a small training, without its output."""
    settings = {**SMALL, **(more or {}), "data.name": str(photos)}
    return ["train", *(f"{key}={value}" for key, value in settings.items())]


def write_photos(root: Path) -> Path:
    """Write 24 images of 16 x 16 pixels in three classes and three splits; return their folder."""
    noise = np.random.default_rng(0)
    for split, count in (("train", 4), ("validation", 2), ("test", 2)):
        for label, name in enumerate(("blue", "green", "red")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 120, (16, 16, 3))
                pixels[..., 2 - label] += 100
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return root
