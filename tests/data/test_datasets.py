import os
from pathlib import Path

import pytest
import torch

from rampart.data import datasets
from rampart.data.datasets import load_splits
from rampart.data.set_apart import USUAL_FRACTIONS
from rampart.errors import DataError, InvalidArgument
from rampart.schema.model_and_data import DataConfig


def sizes(splits):
    return [len(splits[name]) for name in ("train", "validation", "test")]


def test_three_splits_are_used_unchanged(make_folder, layout):
    splits = load_splits(str(make_folder(*layout("train", "val", "test"))), image_size=8)
    assert sizes(splits) == [6, 6, 6]
    assert splits.notes == ()
    assert splits.image_shape == (3, 8, 8)


def test_a_validation_split_is_set_apart_from_training(make_folder, layout):
    folder = make_folder(*layout("train", "test", count=10))
    splits = load_splits(str(folder), image_size=8, validation_fraction=0.3)
    assert sizes(splits) == [14, 6, 20]
    assert all(name.startswith("test/") for name in splits.test.ids)
    assert all(name.startswith("train/") for name in splits.validation.ids)
    assert len(splits.notes) == 1
    assert "6 of 20" in splits.notes[0]


def test_the_validation_split_is_never_the_test_split(make_folder, layout):
    folder = make_folder(*layout("train", "val", count=10))
    splits = load_splits(str(folder), image_size=8)
    assert sizes(splits) == [16, 20, 4]
    assert all(name.startswith("train/") for name in splits.test.ids)
    assert "no test split: 4 of 20" in splits.notes[0]


@pytest.mark.parametrize("cache", [True, False])
def test_a_drawn_validation_split_takes_the_official_one_for_training(make_folder, layout, cache):
    folder = str(make_folder(*layout("train", "val", "test", count=10)))
    how = {"image_size": 8, "cache": cache, "validation_fraction": 0.1}
    official = load_splits(folder, **how)
    drawn = load_splits(folder, **how, validation="drawn")
    assert (sizes(official), sizes(drawn)) == ([20, 20, 20], [36, 4, 20])
    assert "the 20 images of the data's validation split are training images" in drawn.notes[0]
    every = {*official.train.ids, *official.validation.ids}
    assert {*drawn.train.ids, *drawn.validation.ids} == every
    assert drawn.test.fingerprint() == official.test.fingerprint()
    pixels = {
        name: one[0]
        for part in (official.train, official.validation)
        for name, one in zip(part.ids, part, strict=False)
    }
    for part in (drawn.train, drawn.validation):
        assert all(torch.equal(pixels[part.ids[i]], part[i][0]) for i in range(len(part)))


def test_without_an_official_validation_split_drawn_changes_nothing(make_folder, layout):
    folder = str(make_folder(*layout("train", "test", count=10)))
    one, two = (load_splits(folder, image_size=8, validation=v) for v in ("official", "drawn"))
    assert (one.fingerprint(), one.notes) == (two.fingerprint(), two.notes)


def test_the_test_does_not_depend_on_the_validation_fraction(make_folder, layout):
    folder = str(make_folder(*layout(count=20)))
    small, large = (load_splits(folder, image_size=4, validation_fraction=s) for s in (0.1, 0.4))
    assert (sizes(small), sizes(large)) == ([28, 4, 8], [20, 12, 8])
    assert small.test.fingerprint() == large.test.fingerprint()
    assert small.fingerprint() != large.fingerprint()
    assert small.fingerprint() == load_splits(folder, image_size=4).fingerprint()
    other = load_splits(folder, image_size=4, seed=1)
    assert other.test.fingerprint() != small.test.fingerprint()


def test_the_cache_does_not_change_pixels(make_folder, layout):
    folder = str(make_folder(*layout(count=10)))
    lazy, eager = (load_splits(folder, image_size=8, cache=cache) for cache in (False, True))
    assert (lazy.test.in_memory, eager.test.in_memory) == (False, True)
    assert lazy.fingerprint() == eager.fingerprint()
    for i in range(len(lazy.train)):
        assert torch.equal(lazy.train[i][0], eager.train[i][0])


def test_auto_caches_data_below_the_limit(make_folder, layout, monkeypatch):
    folder = str(make_folder(*layout(count=10)))
    assert load_splits(folder, image_size=8).train.in_memory
    monkeypatch.setattr(datasets, "cache_limit", lambda: 20 * 8 * 8 * 3)
    assert not load_splits(folder, image_size=8).train.in_memory


@pytest.mark.parametrize("cache", [False, True])
def test_an_unreadable_image_is_found_at_the_start(make_folder, layout, cache):
    folder = make_folder(*layout("train", "val", "test"))
    (folder / "test" / "dog" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"image 'test/dog/broken.jpg' cannot be read"):
        load_splits(str(folder), image_size=8, cache=cache)


@pytest.mark.parametrize("fraction", [1.0, 3, 0])
def test_a_validation_split_larger_than_the_data(make_folder, layout, fraction):
    with pytest.raises(InvalidArgument, match="validation_fraction"):
        load_splits(str(make_folder(*layout("train", "test"))), validation_fraction=fraction)


def test_too_few_images_for_a_validation_split(make_folder, layout):
    with pytest.raises(InvalidArgument, match=r"validation_fraction=0.1: .*at least 0.334"):
        load_splits(str(make_folder(*layout("train", "test"))), image_size=4)
    with pytest.raises(DataError, match=r"class 'cat' has 1 training image"):
        load_splits(
            str(make_folder(*layout("train", "test", count=1), root="single")),
            image_size=4,
            validation_fraction=0.9,
        )


def test_gray_on_request(make_folder, layout):
    folder = str(make_folder(*layout(count=10)))
    assert load_splits(folder, image_size=8, in_chans=1).image_shape == (1, 8, 8)


def test_embedded_tasks():
    gray, color = (load_splits("digit-pairs", in_chans=channels) for channels in (None, 3))
    assert gray.image_shape == (1, 16, 16)
    assert torch.equal(color.train[0][0], gray.train[0][0].expand(3, -1, -1))
    with pytest.raises(InvalidArgument, match="image_size=32"):
        load_splits("digit-pairs", image_size=32)
    drawn = load_splits("digit-pairs", validation="drawn", validation_fraction=0.25)
    assert sizes(drawn) == [900, 300, 500]


def test_unknown_names(tmp_path):
    with pytest.raises(DataError, match="did you mean digit-pairs"):
        load_splits("digit-pair")
    with pytest.raises(DataError, match="does not exist"):
        load_splits(str(tmp_path / "nothing"))
    for library in ("torch/", "hfds/", "hfds//"):
        with pytest.raises(DataError, match="names no dataset"):
            load_splits(library)
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="did you mean '.*/photos'"):
        load_splits(str(tmp_path / "photo"))


SHARED = Path(os.environ.get("RAMPART_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.skipif(
    not (SHARED / "trashnet_6x125.tar").is_file(), reason="photos not found; see RAMPART_TEST_DATA"
)
def test_photos_in_a_tar():
    splits = load_splits(str(SHARED / "trashnet_6x125.tar"), image_size=32)
    assert sizes(splits) == [360, 90, 300]
    assert splits.class_names == ["cardboard", "glass", "metal", "paper", "plastic", "trash"]
    assert splits.notes == ()


#: Keys without an effect, by kind of data.
UNUSED = {
    "embedded": {
        "root": "files",
        "options": {"download": True},
        "splits": {"test": "seg_test"},
        "test_fraction": 0.3,
        "validation_fraction": 0.3,
        "image_size": 32,
        "resize": "squash",
    },
    "folder": {"options": {"download": True}},
    "whole path": {"root": "files"},
    "torch/cifar10": {"splits": {"test": "seg_test"}},
    "caltech256": {"test_fraction": 0.3, "validation_fraction": 0.3},
}


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, keys in UNUSED.items() for key in keys]
)
def test_a_key_without_effect_is_refused_and_named(kind, key, make_folder, layout):
    folder = str(make_folder(*layout("train", "val", "test")))
    name = {"embedded": "digit-pairs", "folder": folder, "whole path": folder}.get(kind, kind)
    how = {"root": "files", "image_size": 8} if kind.startswith("torch/") else {}
    with pytest.raises(InvalidArgument) as refused:
        load_splits(name, **{**how, key: UNUSED[kind][key]})
    assert refused.value.name == key


@pytest.mark.parametrize("name", ["test", "validation"])
def test_a_fraction_of_a_split_that_the_data_have_is_noted(make_folder, layout, name):
    folder = str(make_folder(*layout("train", "val", "test")))
    notes = load_splits(folder, image_size=8, **{f"{name}_fraction": 0.3}).notes
    assert [f"{name}_fraction=0.3 has no effect" in note for note in notes] == [True]
    assert load_splits(folder, image_size=8).notes == ()


def test_usual_fractions_are_those_of_the_configuration():
    fields = DataConfig.model_fields
    for name, fraction in USUAL_FRACTIONS.items():
        assert fields[f"{name}_fraction"].default == fraction
