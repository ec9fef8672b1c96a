import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

# Small networks are fastest on one thread, and results then do not hang on the machine's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from local_hub import LocalHub, address
from minimal import MINIMAL

# The hub's clients read it when they are imported; no test reaches the real hub.
ADDRESS = os.environ["HF_ENDPOINT"] = address()

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image


def pytest_collection_modifyitems(items):
    """Mark the tests of `MINIMAL`."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).as_posix() in MINIMAL:
            item.add_marker("minimal")


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory):
    """A folder of 3 classes with 16 x 16 color images whose mean color tells the class."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("validation", 3), ("test", 5)):
        for label, name in enumerate(("blue", "green", "red")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 120, (16, 16, 3))
                pixels[..., 2 - label] += 100
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def tiny_settings(photo_folder):
    """A run of 3 epochs with 3 steps each on `photo_folder`, as overrides."""
    return [
        "model.name=rampart_glyphnet",
        "model.pretrained=false",
        "model.options={norm: batch, in_chans: 3}",
        f"data.name={photo_folder}",
        "data.image_size=16",
        "threat.eps=8/255",
        "schedule=two-hinge",
        "training.epochs=3",
        "training.batch_size=8",
        "attack.steps=2",
        "evaluation.attack.steps=3",
        "optimizer.backbone_lr=1e-3",
    ]


@pytest.fixture
def local_hub(monkeypatch, tmp_path):
    """A hub on this machine, with an empty cache."""
    from huggingface_hub import HfFileSystem, constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr("urllib.request.getproxies", dict)
    if find_spec("datasets"):
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    HfFileSystem.clear_instance_cache()
    server = LocalHub(ADDRESS)
    yield server
    server.close()


@pytest.fixture
def cub(local_hub, monkeypatch):
    """A hub that holds the dataset `cub200`, which here has 2 classes and so few images."""
    from hub_files import files
    from rampart.data import catalogue

    entry = catalogue.catalogue()["cub200"]
    [source] = entry.sources
    revision = local_hub.add(source.data.removeprefix("hfds/"), files(train=10, test=3), "datasets")
    pinned = replace(source, options={**source.options, "revision": revision})
    own = replace(entry, classes=2, images={"train": 20, "test": 6}, sources=(pinned,))
    entries = {**catalogue.catalogue(), "cub200": own}
    for user in ("datasets", "inventory"):
        monkeypatch.setattr(f"rampart.data.{user}.catalogue", lambda: entries)
    return local_hub


# A test that is slow once, on a busy machine, is not wrong.
settings.register_profile("rampart", deadline=None)
settings.load_profile("rampart")
