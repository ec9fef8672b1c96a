import shutil

import numpy as np
import pytest
from evaluating import NETWORK
from PIL import Image

from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.runs.run_folder import RunFolder


@pytest.fixture(scope="session")
def trained(photo_folder, tmp_path_factory):
    settings = [
        "model.name=rampart_glyphnet",
        "model.pretrained=false",
        "model.options={norm: batch, in_chans: 3}",
        f"data.name={photo_folder}",
        "data.image_size=16",
        "threat.eps=8/255",
        "training.epochs=2",
        "training.batch_size=8",
        "attack.steps=2",
        "evaluation.attack.steps=3",
        "optimizer.backbone_lr=1e-3",
    ]
    return train_run(load_config(None, settings), tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def run(trained, tmp_path):
    return RunFolder(shutil.copytree(trained.path, tmp_path / "run"))


@pytest.fixture
def network(tmp_path, photo_folder):
    """An external model, as reference and settings."""
    (tmp_path / "nets.py").write_text(NETWORK)
    # In this order, replacing the whole section by its name would lose the size.
    settings = ("data.image_size=16", f"data={photo_folder}", "threat.eps=80/255")
    few = ("evaluation.strengths=[20/255, 40/255, 60/255, 80/255]", "evaluation.checks=false")
    return f"{tmp_path / 'nets.py'}:network", (*settings, *few)


@pytest.fixture
def make_photos(tmp_path):
    """Write images of each class into a new folder, below any split, and return it."""

    def make(*splits, classes=("blue", "green", "red"), each=3):
        rng = np.random.default_rng(0)
        for split in splits or ("",):
            for name in classes:
                folder = tmp_path / "new" / split / name
                folder.mkdir(parents=True)
                for number in range(each):
                    pixels = rng.integers(0, 256, (20, 31, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / f"{number}.png")
        return tmp_path / "new"

    return make
