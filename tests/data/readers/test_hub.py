import numpy as np
import pytest
from PIL import Image

from rampart import extras
from rampart.data.datasets import load_splits
from rampart.data.decode import Decode
from rampart.data.readers.hub import splits_of_datasets
from rampart.data.readers.request import Request
from rampart.errors import DataError, MissingExtra, UnknownName


@pytest.fixture
def hub_folder(make_folder, layout):
    pytest.importorskip("datasets")
    return make_folder(*layout("train", "test", count=10))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_hub_dataset_from_a_local_folder(hub_folder, tmp_path):
    splits = load_splits(f"hfds/{hub_folder}", root=str(tmp_path / "cache"), image_size=8)
    assert [len(splits[n]) for n in ("train", "validation", "test")] == [18, 2, 20]
    assert splits.class_names == ["cat", "dog"]
    assert splits.image_shape == (3, 8, 8)


def test_wrong_options_of_the_hub_are_refused(hub_folder, monkeypatch):
    with pytest.raises(UnknownName, match="input_key"):
        load_splits(f"hfds/{hub_folder}", options={"image_key": "x"})
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rampart-rft\[hub\]"):
        load_splits(f"hfds/{hub_folder}")


def table(columns, count=6, **features):
    """A table with `count` pictures, and these columns."""
    datasets = pytest.importorskip("datasets")
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)) for _ in range(count)
    ]
    own = datasets.Dataset.from_dict({"image": pictures, **columns})
    return own.cast_column("image", datasets.Image())


def read(tables, **options):
    own = {split: split[:2] for split in tables}
    return splits_of_datasets(tables, own, Request("hfds/x", Decode(8), options=options), "hfds/x")


def test_text_labels_become_classes():
    found = read({"train": table({"label": list("bcabca")}), "test": table({"label": ["c"] * 6})})
    assert found["train"].class_names == found["test"].class_names == ["a", "b", "c"]
    assert found["train"].labels.tolist() == [1, 2, 0, 1, 2, 0]
    assert found["test"].ids[5] == "te/5"
    assert found["test"].pixels(5).shape == (3, 8, 8)


def test_plain_numbers_become_classes_in_the_order_of_numbers():
    found = read({"train": table({"label": [10, 9, 2, 10, 9, 2]})})
    assert found["train"].class_names == ["2", "9", "10"]
    assert found["train"].labels.tolist() == [2, 1, 0, 2, 1, 0]


def test_named_classes_keep_their_order():
    datasets = pytest.importorskip("datasets")
    feature = datasets.ClassLabel(names=["z", "a", "m"])
    tables = {"train": table({"kind": [0, 1, 1, 0, 1, 0]}).cast_column("kind", feature)}
    assert read(tables)["train"].class_names == ["z", "a", "m"]
    unlabeled = table({"kind": [0, -1, 1, 0, 1, 0]}).cast_column("kind", feature)
    with pytest.raises(DataError, match="labels run from -1"):
        read({"train": unlabeled})


@pytest.mark.parametrize("labels", [[[0, 1]] * 6, [[0], [0, 2], [], [1], [1], [2]], [0.5] * 6])
def test_several_labels_per_image_are_refused(labels):
    with pytest.raises(DataError, match="column 'label' of hfds/x, train 0 .*several labels per"):
        read({"train": table({"label": labels})})


def test_several_named_labels_per_image_are_refused():
    datasets = pytest.importorskip("datasets")
    feature = datasets.Sequence(datasets.ClassLabel(names=["a", "b"]))
    with pytest.raises(DataError, match="several labels per image"):
        read({"train": table({"label": [[0, 1]] * 6}).cast_column("label", feature)})


def test_columns_that_are_not_certain_are_refused():
    tables = {"train": table({"fine": list("abcabc"), "coarse": list("aabbcc")})}
    with pytest.raises(DataError, match="only image, fine, coarse: .*data.options.target_key"):
        read(tables)
    assert read(tables, target_key="coarse")["train"].labels.tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(DataError, match="data.options.target_key=no: .*image, fine, coarse"):
        read(tables, target_key="no")


def test_a_row_without_an_image_is_named():
    datasets = pytest.importorskip("datasets")
    tables = datasets.Dataset.from_dict({"image": [None] * 2, "label": ["a", "b"]})
    split = read({"train": tables.cast_column("image", datasets.Image())})["train"]
    with pytest.raises(DataError, match=r"hfds/x tr\[1\]' cannot be read .*no image"):
        split.pixels(1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_unusual_names_of_splits(tmp_path):
    (tmp_path / "set").mkdir()
    table({"label": list("abcabc") * 5}, 30).to_parquet(tmp_path / "set" / "train-0.parquet")
    table({"label": list("abcabc")}).to_parquet(tmp_path / "set" / "holdout-0.parquet")
    table({"label": list("cbacba")}).to_parquet(tmp_path / "set" / "test-0.parquet")
    card = "".join(
        f"  - split: {split}\n    path: {split}-*.parquet\n"
        for split in ("train", "holdout", "test")
    )
    (tmp_path / "set" / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{card}---\n"
    )
    name, root = f"hfds/{tmp_path / 'set'}", str(tmp_path / "cache")
    splits = load_splits(name, root=root, image_size=8)
    assert splits.test.ids[0] == "test/0"
    assert "holdout" in splits.notes[0]
    splits = load_splits(
        name, root=root, image_size=8, splits={"train": "train", "test": "holdout"}
    )
    assert splits.test.ids[0] == "holdout/0"
    with pytest.raises(DataError, match="data.splits.test=none"):
        load_splits(name, root=root, splits={"test": "none"})
