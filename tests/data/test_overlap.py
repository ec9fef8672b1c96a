import shutil

import pytest
from PIL import Image

from rampart.data.datasets import load_splits, read
from rampart.data.decode import Decode, ImageFile
from rampart.data.overlap import may_overlap, pairs_of_copies
from rampart.data.readers.request import Request


def others(folder):
    return read(Request(str(folder), Decode(8)))[0]


@pytest.fixture
def folders(make_folder, layout):
    """Two folders; a test image of the first is a training image of the second."""
    new = make_folder(*layout("train", "val", "test"), root="new")
    own = make_folder(*layout("train", "val", "test", count=12), root="own")
    for path in new.rglob("*.png"):
        _resize(path, 31)
    for number, path in enumerate(sorted(own.rglob("*.png"))):
        _resize(path, 40 + number)
    shutil.copy(own / "train/cat/3.png", new / "test/dog/copy.png")
    return new, own


def _resize(path, side):
    with Image.open(path) as picture:
        picture.resize((side, side)).save(path)


def test_a_copied_file_is_found_and_named(folders):
    new, own = (load_splits(str(folder), image_size=8) for folder in folders)
    assert may_overlap(new.test, others(folders[1])) is True
    assert pairs_of_copies(new.test, own.train) == [("train/cat/3.png", "test/dog/copy.png")]
    (folders[0] / "test/dog/copy.png").unlink()
    new = load_splits(str(folders[0]), image_size=8)
    assert may_overlap(new.test, others(folders[1])) is False
    assert pairs_of_copies(new.test, own.train) == []


def test_only_files_of_the_same_size_are_read(folders, monkeypatch):
    new = load_splits(str(folders[0]), image_size=8)
    sizes = {path.stat().st_size for path in (folders[0] / "test").rglob("*.png")}
    files = [path for path in folders[1].rglob("*.png") if path.stat().st_size in sizes]
    read_files = []
    own = others(folders[1])
    once = ImageFile.read
    monkeypatch.setattr(ImageFile, "read", lambda one: read_files.append(one.path) or once(one))
    assert may_overlap(new.test, own)
    assert sorted(read_files) == sorted(files)
    assert 0 < len(files) < 72


def test_data_that_are_no_files_cannot_be_searched(folders):
    new = load_splits(str(folders[0]), image_size=8)
    digits = load_splits("digit-pairs")
    assert may_overlap(new.test, {"train": digits.train}) is None
    assert may_overlap(digits.test, others(folders[1])) is None
    assert may_overlap(new.test, {}) is None
