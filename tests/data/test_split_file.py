import json

import pytest

from rampart.data.datasets import load_defined, load_splits
from rampart.data.split_file import read_split_file, write_split_file
from rampart.data.splits import SPLIT_NAMES
from rampart.errors import DataError
from torchvision_files import caltech256


@pytest.fixture
def photos(make_folder, layout):
    return str(make_folder(*layout(count=10)))


@pytest.fixture
def split_file(tmp_path):
    def write(content, name="splits.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
        return str(tmp_path / name)

    return write


def images(numbers, folder="", label=None):
    return {
        f"{folder}{name}/{number}.png": name if label is None else label[name]
        for number in numbers
        for name in ("cat", "dog")
    }


def load(data, path, **how):
    return load_splits(data, image_size=8, split_file=path, **how)


@pytest.mark.parametrize("cache", [True, False])
def test_the_listed_images_are_used_in_their_order(photos, split_file, cache):
    listed = {"train": images([5, 3, 1]), "val": images([2]), "test": images([8, 9])}
    splits = load(photos, split_file(listed), cache=cache)
    assert list(splits.train.ids) == list(listed["train"])
    assert list(splits.test.ids) == list(listed["test"])
    assert splits.test.labels.tolist() == [0, 1, 0, 1]
    whole = load_defined(photos, image_size=8).parts["train"]
    for split in (splits.train, splits.test):
        for place, identity in enumerate(split.ids):
            own = whole.pixels(list(whole.ids).index(identity))
            assert (split.pixels(place) == own).all()
    assert "leaves out 8 images" in splits.notes[0]


def test_splits_that_are_written_are_read_again(photos, tmp_path):
    path = tmp_path / "splits.json"
    first = load_splits(photos, image_size=8, seed=3)
    write_split_file(path, first)
    again = load(photos, str(path))
    assert again.fingerprint() == first.fingerprint()
    assert read_split_file(path)["test"] == {
        identity: first.class_names[label]
        for identity, label in zip(first.test.ids, first.test.labels, strict=True)
    }


def test_a_missing_split_is_drawn_from_the_listed_training_images(photos, split_file):
    splits = load(photos, split_file({"train": images(range(8)), "test": images([8])}))
    assert [len(splits[name]) for name in SPLIT_NAMES] == [14, 2, 2]


def test_lists_of_path_number_and_name_are_read(photos, split_file):
    numbers = {"cat": 1, "dog": 0}
    listed = {
        split: [[path, label, "a name"] for path, label in images(chosen, label=numbers).items()]
        for split, chosen in (("train", range(6)), ("val", [6, 7]), ("test", [8]))
    }
    assert len(load(photos, split_file(listed)).validation) == 4


def test_a_folder_with_one_file_for_each_split(photos, split_file, tmp_path):
    split_file(images(range(6)), "mine/train.json")
    split_file(images([6, 7]), "mine/val.json")
    split_file(images([9]), "mine/test.json")
    assert list(load(photos, str(tmp_path / "mine")).test.ids) == ["cat/9.png", "dog/9.png"]


def test_images_of_a_library_are_named_by_the_last_parts_of_their_paths(tmp_path, split_file):
    options = {"counts": caltech256(tmp_path)}
    listed = {
        split: {f"{k:03d}.thing{k}/{k:03d}_{n:04d}.jpg": k for n in numbers for k in (1, 2)}
        for split, numbers in (("train", range(1, 21)), ("validation", [30]), ("test", [40, 41]))
    }
    how = {"root": str(tmp_path), "options": options}
    splits = load("caltech256", split_file(listed), **how)
    assert [len(splits[name]) for name in SPLIT_NAMES] == [40, 2, 4]


def test_a_path_that_may_be_two_images_is_refused(make_folder, layout, split_file):
    folder = make_folder(*layout("train", "test", count=4))
    with pytest.raises(DataError, match="'cat/0.png' may be 2 images.*train/cat/0.png.*longer"):
        load(str(folder), split_file({"train": images([0])}))
    listed = {"train": images([0, 1, 2, 3], "test/"), "test": images([0], "train/")}
    splits = load(str(folder), split_file(listed), validation_fraction=0.3)
    assert list(splits.test.ids) == ["train/cat/0.png", "train/dog/0.png"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"train": images([1, 77])}, "lists 2 images that the data do not have, .*'cat/77.png'"),
        ({"train": {"cat/0.png": "dog"}}, "'cat/0.png' has the label dog, but .* it is 'cat'"),
        ({"train": {"cat/0.png": 0, "dog/0.png": 0}}, "'dog/0.png' has the label 0, which is also"),
        ({"train": images([1]), "test": images([1])}, "'cat/1.png' in two splits"),
        ({"train": images([1]), "training": images([2])}, "the split train twice"),
        ({"train": [["cat/0.png", 0], ["cat/0.png", 0]]}, "listed twice"),
        ({"train": {"cat/0.png": [0, 1]}}, "label of 'cat/0.png'"),
        (images([1]), "no splits train, validation and test"),
        ({"train": {}}, "expected"),
        ([], "no splits train"),
    ],
)
def test_faults_are_named(photos, split_file, content, says):
    with pytest.raises(DataError, match=says):
        load(photos, split_file(content))


def test_a_file_that_cannot_be_read_is_named(photos, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    for name in ("bad.json", "none.json"):
        with pytest.raises(DataError, match=f"{name}' cannot be read"):
            load(photos, str(tmp_path / name))
