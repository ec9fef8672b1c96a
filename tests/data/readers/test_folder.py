import pytest
import torch
from PIL import Image

from rampart.data.datasets import load_splits
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


def test_a_folder_without_classes_gets_another_way(make_folder, layout):
    for loose in ("test/1.png", "test/unknown/1.png"):
        photos = make_folder(*layout("train"), loose, root=loose.replace("/", "-"))
        with pytest.raises(DataError, match="data.splits.train=train"):
            load_folder(photos, DECODE)
        assert list(load_folder(photos, DECODE, {"train": "train"})[0]) == ["train"]
    photos = make_folder("1.png", root="flat")
    (photos / "list.csv").write_text("path,label")
    with pytest.raises(DataError, match="data=.*list.csv"):
        load_folder(photos, DECODE)


def test_splits_below_the_level_of_classes_are_refused(make_folder, layout):
    below = layout("cat/train", "cat/test", "dog/train", "dog/test", classes=("x",))
    with pytest.raises(DataError, match="train/cat/ and test/cat/"):
        load_folder(make_folder(*below), DECODE)
    beside = make_folder(*layout("set/train", "set/test"), "masks/1.png", root="beside")
    with pytest.raises(DataError, match="data=.*beside/set"):
        load_folder(beside, DECODE)
    assert list(load_folder(beside, DECODE, {"train": "."})[0]) == ["train"]


def test_a_path_that_is_not_utf8_is_named(make_folder, make_tar, layout):
    photos = make_folder(*layout())
    (photos / "cat" / "0.png").rename(photos / "cat" / "\udcff.png")
    for path in (photos, make_tar(photos)):
        with pytest.raises(DataError, match="not UTF-8"):
            load_folder(path, DECODE)


@pytest.mark.parametrize("name", ["emu", "cat/9.png"])
def test_a_link_to_nothing_is_refused(make_folder, layout, name):
    photos = make_folder(*layout())
    (photos / "cat" / "notes.txt").symlink_to("nowhere")
    load_folder(photos, DECODE)
    (photos / name).symlink_to("nowhere")
    with pytest.raises(DataError, match=f"{name}' is a link to 'nowhere'"):
        load_folder(photos, DECODE)


def test_classes_that_look_alike_are_named(make_folder):
    names = {"train": ("cat", "caf\xe9"), "test": ("Cat", "cafe\u0301")}
    photos = make_folder(*(f"{split}/{name}/1.png" for split in names for name in names[split]))
    with pytest.raises(DataError, match="differ only in case, spaces or the form of letters"):
        load_folder(photos, DECODE)


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


def test_a_training_needs_a_train_folder(make_folder, layout):
    folder = make_folder(*layout("test", "val"))
    with pytest.raises(DataError, match="no split train"):
        load_splits(str(folder), image_size=8)
    assert sorted(load_folder(folder, DECODE)[0]) == ["test", "validation"]


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


def test_a_tar_that_is_cut_off_says_so(make_folder, make_tar, layout):
    path = make_tar(make_folder(*layout()))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="cut off"):
        load_folder(path, DECODE)


def test_a_class_may_be_called_train(make_folder):
    photos = make_folder("car/1.png", "car/2.png", "plane/1.png", "train/1.png", "train/2.png")
    found, _ = load_folder(photos, DECODE)
    assert list(found) == ["train"]
    assert list(found["train"].class_names) == ["car", "plane", "train"]


def test_images_beside_the_classes_are_noted(make_folder, layout):
    for paths in (layout("train", "test"), ["cat/1.png", "dog/1.png"]):
        _, notes = load_folder(make_folder(*paths, "stray.png"), DECODE)
        assert any("1 image beside the folders" in note for note in notes)
    inside = make_folder(*layout("train", "test"), "train/stray.png", root="inside")
    assert "inside/train: 1 image beside" in load_folder(inside, DECODE)[1][0]


UNNAMED = [
    (("seg_train", "seg_test"), "data.splits.train=seg_train data.splits.test=seg_test"),
    (("training_set", "test_set"), "data.splits.train=training_set data.splits.test=test_set"),
    (("trainSet", "evalSet"), "data.splits.train=trainSet data.splits.test=evalSet"),
    (("dev", "eval"), "data.splits.validation=dev data.splits.test=eval"),
    (("one", "two"), "data.splits.train=one data.splits.test=two"),
    (("train", "dev"), "data.splits.train=train data.splits.validation=dev"),
    (("train", "tests"), "data.splits.train=train data.splits.test=tests"),
    (("trainset", "testset"), "data.splits.train=trainset data.splits.test=testset"),
    (("train", "validate"), "data.splits.train=train data.splits.validation=validate"),
    (("train", "more"), "more .*data.splits.train=train"),
]


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(("names", "advice"), UNNAMED)
def test_folders_that_look_like_splits_are_refused(make_folder, layout, names, advice, twice):
    paths = layout(*(f"{name}/{name}" if twice else name for name in names))
    with pytest.raises(DataError, match=advice) as error:
        load_folder(make_folder(*paths), DECODE)
    assert one_line(error)


def test_the_user_names_the_splits(make_folder, make_tar, layout):
    folder = make_folder(*layout("seg_train/seg_train", "seg_test/seg_test"), "seg_pred/1.png")
    with pytest.raises(DataError, match="seg_test and seg_train"):
        load_folder(folder, DECODE)
    names = {"train": "seg_train", "test": "seg_test"}
    for path in (folder, make_tar(folder)):
        found, notes = load_folder(path, DECODE, names)
        assert {name: split.ids[0] for name, split in found.items()} == {
            "train": "seg_train/seg_train/cat/0.png",
            "test": "seg_test/seg_test/cat/0.png",
        }
        assert notes == [f"ignored in {path}: seg_pred (1 image)."]
    with pytest.raises(DataError, match="splits.test=seg_tset: .* it has seg_pred, seg_test"):
        load_folder(folder, DECODE, {"train": "seg_train", "test": "seg_tset"})


def test_folders_inside_classes_are_classes_if_the_user_says_so(make_folder, layout):
    folder = make_folder(*layout("cat", "dog", classes=("day", "night")))
    found, notes = load_folder(folder, DECODE, {"train": "."})
    assert found["train"].class_names == ["cat", "dog"]
    assert notes == []


@pytest.mark.parametrize("ending", ["jfif", "jpe", "JPG", "apng", "tga", "pnm", "j2k", "dib"])
def test_usual_endings_are_read(make_folder, layout, ending):
    folder = make_folder(*layout())
    form = {"jfif": "jpeg", "jpe": "jpeg", "j2k": "jpeg2000", "apng": "png", "pnm": "ppm"}
    with (folder / "cat" / f"more.{ending}").open("wb") as file:
        kind = form.get(ending, {"jpg": "jpeg"}.get(ending.lower(), ending))
        Image.new("RGB", (8, 8)).save(file, kind)
    found, notes = load_folder(folder, DECODE)
    assert f"cat/more.{ending}" in found["train"].ids
    assert found["train"][found["train"].ids.index(f"cat/more.{ending}")][0].shape == (3, 8, 8)
    assert notes == []


@pytest.mark.parametrize("packed", [False, True])
def test_files_that_are_not_images_are_counted(make_folder, make_tar, layout, packed):
    folder = make_folder(*layout("train", "test"))
    for name in ("train/cat/a.heic", "test/dog/b.HEIC", "train/notes.txt", "train/cat/5"):
        (folder / name).write_bytes(b"x")
    _, notes = load_folder(make_tar(folder) if packed else folder, DECODE)
    assert len(notes) == 1
    assert ".heic 2" in notes[0]
    assert ".txt 1" in notes[0]
    assert "no ending 1" in notes[0]


def test_a_class_of_other_files_says_so(make_folder, layout):
    folder = make_folder(*layout())
    (folder / "eel").mkdir()
    (folder / "eel" / "1.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"class 'eel' .* only other files \(.heic 1\)"):
        load_folder(folder, DECODE)


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("up", "."),
        ("up", ".."),
        ("cat/up", ".."),
        ("cat/deep/up", ".."),
        ("cat/deep/up", "../../.."),
    ],
)
def test_a_link_to_a_folder_above_is_not_followed(make_folder, layout, place, target):
    folder = make_folder(*layout(), "cat/deep/9.png")
    ids = load_folder(folder, DECODE)[0]["train"].ids
    (folder / place).symlink_to(target, target_is_directory=True)
    found, notes = load_folder(folder, DECODE)
    assert found["train"].ids == ids
    assert [note for note in notes if f"1 link to a folder above, such as {place}" in note] == notes


def test_links_to_other_folders_are_followed(make_folder, layout, tmp_path):
    folder, other = make_folder(*layout()), make_folder("1.png", "2.png", root="elsewhere")
    (folder / "eel").symlink_to(other, target_is_directory=True)
    (folder / "cat" / "friend").symlink_to(folder / "dog", target_is_directory=True)
    (folder / "dog" / "friend").symlink_to(folder / "cat", target_is_directory=True)
    found, notes = load_folder(folder, DECODE)
    assert [len(found["train"])] == [2 * 6 + 2]
    assert found["train"].class_names == ["cat", "dog", "eel"]
    assert "2 links" in notes[0]


def test_links_in_a_tar_are_counted(make_folder, make_tar, layout):
    folder = make_folder(*layout())
    (folder / "cat" / "link.png").symlink_to("0.png")
    found, notes = load_folder(make_tar(folder), DECODE)
    assert len(found["train"]) == 6
    assert "links in the tar 1" in notes[0]


def test_a_folder_that_cannot_be_read_is_named(make_folder, layout, monkeypatch):
    folder = make_folder(*layout())

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match="photos' cannot be read .Permission denied"):
        load_folder(folder, DECODE)
