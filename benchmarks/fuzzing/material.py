"""Tiny data, and a finished run on them, that the attempts damage or name."""

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


def write_run(root: Path, photos: Path) -> Path:
    """Train and evaluate a run in `root`/run and return its folder."""
    settings = [f"{key}={value}" for key, value in SMALL.items()]
    made = attempt(["train", *settings, f"data.name={photos}", "-o", "run"], root)
    if made.status:
        raise SystemExit(f"the run that is to be damaged failed: {made.err}")
    return root / "run"
