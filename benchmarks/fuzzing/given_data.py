"""Data and lists as users give them; each writer returns its files, relative to the folder."""

import csv
import json
import tarfile
from io import BytesIO
from pathlib import Path

import pyarrow
import yaml
from datasets import ClassLabel, Dataset, DatasetDict, Features
from datasets import Image as ImageFeature
from pyarrow import parquet

from benchmarks.fuzzing.material import Material


def labels_csv(material: Material, folder: Path) -> list[Path]:
    """Write a table of images and labels."""
    with (folder / "labels.csv").open("w", newline="") as opened:
        csv.writer(opened).writerows([["path", "label", "split"], *_rows(material)])
    return [Path("labels.csv")]


def labels_parquet(material: Material, folder: Path) -> list[Path]:
    """Write the same table as Parquet."""
    columns = zip(*_rows(material), strict=True)
    table = pyarrow.table(dict(zip(("path", "label", "split"), map(list, columns), strict=True)))
    parquet.write_table(table, folder / "labels.parquet")
    return [Path("labels.parquet")]


def photos_tar(material: Material, folder: Path) -> list[Path]:
    """Write a tar of images."""
    with tarfile.open(folder / "photos.tar", "w") as archive:
        for image in _images(material)[:6]:
            archive.add(image, image.name)
    return [Path("photos.tar")]


def shard_tar(material: Material, folder: Path) -> list[Path]:
    """Write a shard of WebDataset."""
    with tarfile.open(folder / "test-0.tar", "w") as archive:
        for number, image in enumerate(sorted((material.photos / "test").rglob("*.png"))):
            archive.add(image, f"{number}.png")
            label = image.parent.name.encode()
            member = tarfile.TarInfo(f"{number}.cls")
            member.size = len(label)
            archive.addfile(member, BytesIO(label))
    return [Path("test-0.tar")]


def saved(material: Material, folder: Path) -> list[Path]:
    """Write a dataset as `save_to_disk` of the package `datasets` does."""
    classes = sorted(one.name for one in (material.photos / "test").iterdir())
    images = sorted((material.photos / "test").rglob("*.png"))
    columns = {
        "image": [{"bytes": one.read_bytes(), "path": None} for one in images],
        "label": [classes.index(one.parent.name) for one in images],
    }
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=classes)})
    parts = {"test": Dataset.from_dict(columns, features=features)}
    DatasetDict(parts).save_to_disk(str(folder))
    return sorted(one.relative_to(folder) for one in folder.rglob("*") if one.is_file())


def ids(material: Material, folder: Path) -> list[Path]:
    """Write a list of images to evaluate."""
    names = [one.relative_to(material.photos) for one in _images(material) if "test" in one.parts]
    (folder / "ids.txt").write_text("".join(f"{one}\n" for one in names))
    return [Path("ids.txt")]


def splits(material: Material, folder: Path) -> list[Path]:
    """Write a file of splits."""
    images = _images(material)
    classes = sorted({one.parent.name for one in images})
    content = {
        name: [
            [str(one.relative_to(material.photos)), classes.index(one.parent.name)]
            for one in images
            if name in one.parts
        ]
        for name in ("train", "validation", "test")
    }
    (folder / "splits.json").write_text(json.dumps(content))
    return [Path("splits.json")]


def study(material: Material, folder: Path) -> list[Path]:
    """Write the file of a study."""
    content = {
        "base": {"training": {"epochs": 1, "batch_size": 6}},
        "seeds": [0],
        "axes": {
            "task": {"photos": [f"data.name={material.photos}", "model.name=rampart_glyphnet"]}
        },
        "methods": {"fix": ["schedule=fix"]},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return [Path("study.yaml")]


def _images(material: Material) -> list[Path]:
    return sorted(material.photos.rglob("*.png"))


def _rows(material: Material) -> list[list[str]]:
    return [[str(one), one.parent.name, one.parts[-3]] for one in _images(material)]
