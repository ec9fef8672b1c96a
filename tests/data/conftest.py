import io
import tarfile

import numpy as np
import pytest
from PIL import Image


def picture(number=0, size=(20, 16), mode="RGB"):
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(
        mode
    )


@pytest.fixture
def make_folder(tmp_path):
    """Write images at relative paths below a folder, and return the folder."""

    def make(*paths, root="photos"):
        for number, path in enumerate(paths):
            file = tmp_path / root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            picture(number).save(file)
        return tmp_path / root

    return make


@pytest.fixture
def make_tar(tmp_path):
    """Write a folder into a tar below a top folder, and return the tar."""

    def make(folder, top="photos", mode="w"):
        path = tmp_path / "photos.tar"
        with tarfile.open(path, mode) as archive:
            archive.add(folder, arcname=top)
        return path

    return make


@pytest.fixture
def encoded():
    """Bytes of a small JPEG."""
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG")
    return buffer.getvalue()


def paths(*splits, classes=("cat", "dog"), count=3):
    """Relative paths of `count` images for every split and class."""
    return [
        "/".join(part for part in (split, name, f"{i}.png") if part)
        for split in splits or ("",)
        for name in classes
        for i in range(count)
    ]


@pytest.fixture
def layout():
    return paths
