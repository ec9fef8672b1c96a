import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from rampart.data.decode import Decode
from rampart.data.splits import Split
from rampart.data.unlabeled import unlabeled
from rampart.errors import DataError, InvalidArgument

DECODE = Decode(8)


def picture(seed, size=(12, 8)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path):
    """Two images, one of them below a folder, and a file that is none."""
    root = tmp_path / "photos"
    (root / "below").mkdir(parents=True)
    picture(0).save(root / "a.png")
    picture(1).save(root / "below" / "b.png")
    (root / "notes.txt").write_text("none")
    return root


def read(found, size=2):
    """All ids, images and sentences."""
    batches = list(found.batches(size))
    images = [batch.images for batch in batches if batch.images is not None]
    return (
        [name for batch in batches for name in batch.ids],
        torch.cat(images) if images else None,
        [text for batch in batches for text in batch.unreadable],
    )


def test_files_folders_and_tars_give_the_same_pixels(folder, tmp_path):
    files = [folder / "a.png", str(folder / "below" / "b.png")]
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        archive.add(folder, "")
    expected = torch.stack([DECODE(picture(0)), DECODE(picture(1))]).float() / 255
    for given, place in ((files, folder), (folder, folder), ([tmp_path / "photos.tar"], None)):
        found = unlabeled(given, DECODE)
        ids, images, unreadable = read(found)
        place = place or tmp_path / "photos.tar"
        assert ids == [f"{place}/a.png", f"{place}/below/b.png"]
        assert images.equal(expected)
        assert unreadable == []
    assert ".txt 1" in found.notes[0]


def test_pictures_tensors_and_splits(folder):
    pixels = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    split = Split.of_tensors(pixels, torch.tensor([0, 1, 0]))
    for given in (pixels, pixels / 255, list(pixels), split):
        assert read(unlabeled(given, DECODE))[1].equal(pixels.float() / 255)
    ids, images, _ = read(unlabeled([picture(0), folder / "a.png", pixels[0]], DECODE))
    assert ids == ["0", str(folder / "a.png"), "2"]
    assert images[0].equal(images[1])
    # An adversarial example would be lost in rounding.
    between = torch.full((1, 3, 8, 8), 0.5001)
    assert read(unlabeled(between, DECODE))[1].equal(between)


@pytest.mark.parametrize("content", [b"", b"no image", b"cut"])
def test_a_damaged_file_is_left_out_of_a_folder_and_refused_by_name(folder, content):
    if content == b"cut":
        content = (folder / "a.png").read_bytes()[:200]
    (folder / "c.png").write_bytes(content)
    found = unlabeled(folder, DECODE)
    ids, images, unreadable = read(found)
    assert (len(ids), len(images), len(found)) == (2, 2, 3)
    assert f"{folder}/c.png" in unreadable[0]
    with pytest.raises(DataError, match=r"c\.png"):
        read(unlabeled([folder / "c.png"], DECODE))
    batches = list(unlabeled(folder, DECODE).batches(1))
    assert [len(batch) for batch in batches] == [1, 1, 1]
    assert [batch.images is None for batch in batches] == [False, True, False]


def test_what_is_no_image_is_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.heic").touch()
    for given, words in (
        (tmp_path / "missing.png", "missing.png.*does not exist"),
        (tmp_path / "empty", "has no image"),
        (tmp_path / "texts", r"only other files \(\.heic 1\)"),
        ([], "no image"),
    ):
        with pytest.raises(DataError, match=words):
            unlabeled(given, DECODE)
    for given, words in (
        (np.zeros((8, 8, 3)), "images.*fromarray"),
        (torch.zeros(8, 8), "images"),
        (torch.full((1, 3, 8, 8), 1.5), "pixels from 1.5"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.int64), "int64"),
        (torch.zeros(1, 1, 8, 8), "C = 3"),
        (None, "NoneType"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            unlabeled(given, DECODE)
    with pytest.raises(DataError, match="image 1 has shape"):
        read(unlabeled([torch.zeros(3, 8, 8), torch.zeros(3, 9, 9)], DECODE))
    with pytest.raises(InvalidArgument, match="batch_size"):
        read(unlabeled(folder, DECODE), 0)
