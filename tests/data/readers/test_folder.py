import pytest
import torch

from rampart.data.decode import Decode
from rampart.data.readers.folder import load_folder
from rampart.errors import DataError

DECODE = Decode(8)


def test_three_splits_are_recognized_by_their_usual_names(make_folder, layout):
    found, notes = load_folder(make_folder(*layout("train", "val", "test")), DECODE)
    assert {name: len(split) for name, split in found.items()} == {
        "train": 6,
        "validation": 6,
        "test": 6,
    }
    assert found["train"].class_names == ["cat", "dog"]
    assert found["validation"].ids[0] == "val/cat/0.png"
    assert found["test"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert notes == []


def test_folders_without_split_names_are_classes(make_folder, layout):
    found, _ = load_folder(make_folder(*layout()), DECODE)
    assert list(found) == ["train"]
    assert found["train"].ids[0] == "cat/0.png"


@pytest.mark.parametrize("top", ["", "set/", "a/b/c/"])
def test_single_top_folders_are_descended(make_folder, layout, top):
    folder = make_folder(*[top + path for path in layout("train", "test")])
    assert sorted(load_folder(folder, DECODE)[0]) == ["test", "train"]


def test_tar_and_folder_give_the_same_splits(make_folder, make_tar, layout):
    folder = make_folder(*layout("train", "val", "test"))
    unpacked, _ = load_folder(folder, DECODE)
    packed, _ = load_folder(make_tar(folder), DECODE)
    for name, split in unpacked.items():
        assert packed[name].fingerprint() == split.fingerprint()
        for i in range(len(split)):
            assert torch.equal(packed[name][i][0], split[i][0])


def test_other_files_and_hidden_folders_are_ignored(make_folder, layout):
    folder = make_folder(*layout(), ".cache/x/1.png", "cat/.thumb.png")
    (folder / "cat" / "notes.txt").write_text("no image")
    found, _ = load_folder(folder, DECODE)
    assert len(found["train"]) == 6


def test_ignored_folders_are_noted(make_folder, layout):
    _, notes = load_folder(make_folder(*layout("train", "test"), "extra/cat/1.png"), DECODE)
    assert len(notes) == 1
    assert "extra" in notes[0]


def test_images_below_a_class_folder_belong_to_the_class(make_folder):
    found, _ = load_folder(make_folder("cat/a/1.png", "cat/b/1.png", "dog/1.png"), DECODE)
    assert found["train"].ids == ["cat/a/1.png", "cat/b/1.png", "dog/1.png"]


def one_line(error):
    return str(error.value).count("\n") == 0 and str(error.value).endswith(".")


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*does not exist") as error:
        load_folder(tmp_path / "nowhere", DECODE)
    assert one_line(error)


@pytest.mark.parametrize("images", [[], ["1.png", "2.png"]])
def test_folder_without_classes(make_folder, tmp_path, images):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="no class folders") as error:
        load_folder(make_folder(*images), DECODE)
    assert one_line(error)


def test_split_without_classes(make_folder, layout):
    with pytest.raises(DataError, match=r"photos/test' has no class folders"):
        load_folder(make_folder(*layout("train"), "test/1.png"), DECODE)


def test_one_class(make_folder):
    with pytest.raises(DataError, match="only one class, 'cat'"):
        load_folder(make_folder("cat/1.png"), DECODE)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("split", ["", "train", "test"])
def test_a_class_without_an_image_is_named(make_folder, make_tar, layout, split, packed):
    names = ("train", "test") if split else ("",)
    folder = make_folder(*layout(*names))
    (folder / split / "eel").mkdir()
    with pytest.raises(DataError, match=r"class 'eel' in .* has no image") as error:
        load_folder(make_tar(folder) if packed else folder, DECODE)
    assert one_line(error)


def test_classes_that_differ_are_named(make_folder, layout):
    images = layout("train") + layout("test", classes=("cat", "eel", "dog"))
    with pytest.raises(DataError, match=r"train has 2 and test has 3 \('eel' is in test only\)"):
        load_folder(make_folder(*images), DECODE)
    images = layout("train", classes=("cat", "dog", "fox")) + layout("val")
    with pytest.raises(DataError, match="different classes"):
        load_folder(make_folder(*images, root="other"), DECODE)


def test_a_test_folder_needs_a_train_folder(make_folder, layout):
    with pytest.raises(DataError, match="no folder train"):
        load_folder(make_folder(*layout("test", "val")), DECODE)


def test_two_folders_for_one_split(make_folder, layout):
    with pytest.raises(DataError, match="two folders for validation: val and valid"):
        load_folder(make_folder(*layout("train", "val", "valid")), DECODE)


@pytest.mark.parametrize("mode", ["w:gz", None])
def test_compressed_and_damaged_tars_are_refused(make_folder, make_tar, layout, tmp_path, mode):
    path = make_tar(make_folder(*layout()), mode=mode) if mode else tmp_path / "photos.tar"
    if not mode:
        path.write_bytes(b"no tar" * 200)
    with pytest.raises(DataError, match="uncompressed tar"):
        load_folder(path, DECODE)


def test_a_class_may_be_called_train(make_folder):
    photos = make_folder("car/1.png", "car/2.png", "plane/1.png", "train/1.png", "train/2.png")
    found, _ = load_folder(photos, DECODE)
    assert list(found) == ["train"]
    assert list(found["train"].class_names) == ["car", "plane", "train"]


def test_images_beside_the_classes_are_noted(make_folder, layout):
    for paths in (layout("train", "test"), ["cat/1.png", "dog/1.png"]):
        _, notes = load_folder(make_folder(*paths, "stray.png"), DECODE)
        assert any("1 image(s) beside the folders" in note for note in notes)
