import shutil

import pytest
import torch
from PIL import Image

from rampart.data.copies import count_copies, find_repeated, number_pictures, warn_of_copies
from rampart.data.datasets import load_splits
from rampart.data.splits import Split
from rampart.data.subset import subset


def split_of(values, labels, prefix=""):
    images = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1)
    split = Split.of_tensors(images, torch.tensor(labels), ["a", "b"])
    split.ids[:] = [prefix + name for name in split.ids]
    return split


def test_copies_share_a_number():
    numbers = number_pictures(split_of([5, 7, 5, 9], [0, 1, 0, 1]))
    assert numbers[0] == numbers[2]
    assert len(set(numbers.tolist())) == 3
    assert count_copies(split_of([5, 7, 5, 5], [0, 1, 0, 1])) == 2


def test_copies_in_two_splits_and_under_two_labels_are_named():
    parts = {"train": split_of([1, 2, 3], [0, 0, 1], "x"), "test": split_of([4, 2, 3], [0, 1, 1])}
    apart, contradicting = warn_of_copies(parts)
    assert "2 such images" in apart
    assert apart.startswith("1 is a copy of x1 in another split")
    assert "1 such image)" in contradicting
    assert warn_of_copies({"train": parts["train"]}) == []


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("splits", [("train", "val", "test"), ("train", "test"), ()])
def test_a_folder_with_copies(make_folder, layout, splits, cache):
    folder = make_folder(*layout(*splits, count=12))
    source = folder / (splits[0] if splits else "")
    others = [folder / splits[-1]] if splits else [source]
    for other in others:
        shutil.copy(source / "cat/0.png", other / "cat/copy.png")
    found = load_splits(str(folder), image_size=8, cache=cache)
    assert len(found.warnings) == len(splits[:1])
    assert all("test/cat/copy.png is a copy of train/cat/0.png" in text for text in found.warnings)
    if not splits:
        assert "Copies stay together (1 image)" in " ".join(found.notes)


@pytest.mark.parametrize("seed", range(8))
def test_copies_stay_together_where_the_splits_are_drawn(make_folder, layout, seed):
    folder = make_folder(*layout(count=10))
    for name in ("cat", "dog"):
        for number in range(10):
            shutil.copy(folder / name / f"{number}.png", folder / name / f"{number}-copy.png")
    found = load_splits(str(folder), image_size=8, seed=seed)
    assert found.warnings == ()
    assert [len(found[name]) for name in ("train", "validation", "test")] == [28, 4, 8]
    for name in ("train", "validation", "test"):
        pictures = {identity.replace("-copy", "") for identity in found[name].ids}
        assert len(pictures) == len(found[name]) / 2


def test_equal_pixels_in_other_files_are_found(make_folder, layout):
    folder = make_folder(*layout("train", "val", "test"))
    Image.open(folder / "train/cat/0.png").save(folder / "test/cat/again.bmp")
    assert len(load_splits(str(folder), image_size=8).warnings) == 1


def test_images_that_an_evaluation_counts_twice():
    split = split_of([5, 7, 5, 9, 5], [0, 1, 0, 1, 1])
    found = find_repeated(split)
    assert (found.count, found.notes) == (2, ())
    assert "2 of 5 images" in found.warnings[0]
    assert "2 is a copy of 0" in found.warnings[0]
    assert find_repeated(split.subset([1, 2, 3])) == find_repeated(split_of([1, 2], [0, 1]))
    assert find_repeated(split.subset([1, 2, 1])).count == 1


def test_few_repeated_images_are_only_noted():
    many = split_of([*range(200), 7], [0, 1] * 100 + [0])
    assert find_repeated(many).count == 1
    assert "1 of 201 images" in find_repeated(many).notes[0]
    assert find_repeated(many).warnings == ()


@pytest.mark.parametrize("cache", [True, False])
def test_a_repeated_file_is_found_without_decoding_it_again(
    make_folder, layout, cache, monkeypatch
):
    folder = make_folder(*layout("train", "val", "test", count=12))
    shutil.copy(folder / "test/cat/0.png", folder / "test/cat/copy.png")
    test = load_splits(str(folder), image_size=8, cache=cache).test
    monkeypatch.setattr("rampart.data.decode.Decode.__call__", None)
    assert find_repeated(test).count == 1
    ids = [name for name in test.ids if name != "test/cat/copy.png"]
    assert find_repeated(subset(test, ids=ids)).count == 0
    assert find_repeated(subset(test, limit=len(test), seed=1)).count == 1


def test_images_that_would_have_to_be_decoded_are_not_counted():
    pixels = split_of([1, 1], [0, 1])
    unknown = Split(pixels.ids, pixels.labels, pixels.class_names, lambda i: pixels.pixels(i))
    assert find_repeated(unknown).count is None
