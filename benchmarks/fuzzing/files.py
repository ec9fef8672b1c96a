"""Damage to one file: of a copy of a run, which a check has to notice, or of what users give."""

import csv
import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

from benchmarks.fuzzing.configurations import damaged
from benchmarks.fuzzing.material import SMALL


@dataclass(frozen=True)
class Given:
    """A file that a user gives, and the command that reads it.

    Attributes:
        file: whole.
        words: of the command, in which the name of the file is relative.
        beside: a folder that has to lie beside the file.
    """

    file: Path
    words: tuple[str, ...]
    beside: Path | None = None


def files_of(run: Path) -> dict[str, Path]:
    """Return the files of a run by their kind, without pictures; paths are relative to the run."""
    files = sorted(one.relative_to(run) for one in run.rglob("*") if one.is_file())
    found = [one for one in files if one.suffix != ".png" and one.name[0] != "."]
    return {"/".join(one.parts[-2:]) if len(one.parts) == 2 else one.name: one for one in found}


def damage_file(random: Random, run: Path, file: Path, folder: Path) -> list[str]:
    """Copy a run into `folder`, damage one of its files, and return the words of the check."""
    shutil.copytree(run, folder / "run")
    _damage(random, folder / "run" / file)
    return ["verify", "run"]


def write_others(root: Path, photos: Path, run: Path) -> dict[str, Given]:
    """Write files as users give them into `root`; return them by their kind."""
    images = sorted(photos.rglob("*.png"))
    _write_table(root / "labels.csv", images)
    with tarfile.open(root / "photos.tar", "w") as archive:
        for one in images[:6]:
            archive.add(one, one.name)
    weights = load_file(run / "model" / "model.safetensors")
    torch.save(
        {key.removeprefix("backbone."): one for key, one in weights.items()}, root / "weights.pth"
    )
    test = [one.relative_to(photos / "test") for one in images if "test" in one.parts]
    (root / "ids.txt").write_text("".join(f"{one}\n" for one in test))
    (root / "splits.json").write_text(json.dumps(_splits(photos, images)))
    (root / "study.yaml").write_text(yaml.safe_dump(_study(photos)))
    few = ("evaluation.limit=2", "evaluation.checks=false", "-o", "evaluation")
    words = {
        "labels.csv": ("evaluate", str(run), "data=labels.csv", *few),
        "photos.tar": ("predict", str(run), "photos.tar"),
        "weights.pth": (
            *("evaluate", "timm:rampart_glyphnet:weights.pth", f"data={photos}"),
            *("data.image_size=16", "threat.eps=8/255", *few),
        ),
        "ids.txt": ("evaluate", str(run), "evaluation.ids=ids.txt", *few[1:]),
        "splits.json": (
            *("train", *(f"{key}={value}" for key, value in SMALL.items()), f"data={photos}"),
            *("data.split_file=splits.json", "-o", "run", "--no-evaluate"),
        ),
        "study.yaml": ("study", "plan", "study.yaml"),
    }
    beside = {"labels.csv": photos}
    return {name: Given(root / name, one, beside.get(name)) for name, one in words.items()}


def _write_table(file: Path, images: list[Path]) -> None:
    rows = [["path", "label", "split"]]
    rows += [[str(one.relative_to(file.parent)), one.parent.name, one.parts[-3]] for one in images]
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)


def _splits(photos: Path, images: list[Path]) -> dict[str, Any]:
    classes = sorted({one.parent.name for one in images})
    return {
        name: [
            [str(one.relative_to(photos)), classes.index(one.parent.name)]
            for one in images
            if name in one.parts
        ]
        for name in ("train", "validation", "test")
    }


def _study(photos: Path) -> dict[str, Any]:
    task = [f"data.name={photos}", "model.name=rampart_glyphnet"]
    return {
        "base": {"training": {"epochs": 1}},
        "seeds": [0],
        "axes": {"task": {"photos": task}},
        "methods": {"fix": ["schedule=fix"]},
    }


def damage_other(random: Random, given: Given, folder: Path) -> list[str]:
    """Write a damaged copy of a user's file into `folder`; return the command that reads it."""
    shutil.copy(given.file, folder)
    if given.beside is not None:
        (folder / given.beside.name).symlink_to(given.beside)
    _damage(random, folder / given.file.name)
    return list(given.words)


def _damage(random: Random, file: Path) -> None:
    content = file.read_bytes()
    changed = damaged(random, content)
    while changed == content:
        changed = damaged(random, content)
    file.write_bytes(changed)
