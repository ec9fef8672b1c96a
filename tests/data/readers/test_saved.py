"""Folders that `save_to_disk` of the package `datasets` wrote."""

import pytest

from hub_files import table
from rampart import extras
from rampart.data.datasets import load_defined, load_splits
from rampart.errors import DataError, MissingExtra, UnknownName

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def with_splits(tmp_path):
    content = datasets.DatasetDict({"train": table(20), "test": table(3)})
    content.save_to_disk(tmp_path / "saved")
    return str(tmp_path / "saved")


def test_a_dataset_with_splits(with_splits):
    splits = load_splits(with_splits, image_size=8)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [36, 4, 6]
    assert splits.class_names == ["cat", "dog"]
    assert splits.test.ids[5] == "test/5"


def test_a_dataset_without_splits(tmp_path):
    table(10).save_to_disk(tmp_path / "saved")
    published = load_defined(str(tmp_path / "saved"), image_size=8)
    assert {name: len(part) for name, part in published.parts.items()} == {"train": 20}


def test_names_of_splits_and_columns(with_splits):
    parts = load_defined(
        with_splits, image_size=8, splits={"test": "train"}, options={"target_key": "label"}
    ).parts
    assert {name: len(part) for name, part in parts.items()} == {"test": 40}
    with pytest.raises(DataError, match="target_key=kind.*image, label"):
        load_splits(with_splits, options={"target_key": "kind"})
    with pytest.raises(UnknownName, match="target"):
        load_splits(with_splits, options={"target": "label"})


def test_damage_and_a_missing_package_are_named(with_splits, tmp_path, monkeypatch):
    (tmp_path / "saved" / "train" / "state.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read .*save it again"):
        load_splits(with_splits)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rampart-rft\[hub\]"):
        load_splits(with_splits)
