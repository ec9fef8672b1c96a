import pytest

from rampart.data.datasets import load_splits
from rampart.data.readers.torchvision import TORCH_NAMES
from rampart.errors import DataError, InvalidArgument, UnknownName


def test_torchvision_dataset_without_splits(make_folder, layout, tmp_path):
    make_folder(*layout(count=10), root="eurosat/2750")
    splits = load_splits("torch/eurosat", root=str(tmp_path), image_size=8)
    assert [len(splits[n]) for n in ("train", "validation", "test")] == [14, 2, 4]
    assert splits.class_names == ["cat", "dog"]
    assert splits.image_shape == (3, 8, 8)
    assert len(splits.notes) == 2


def test_torchvision_dataset_with_three_splits(make_folder, layout, tmp_path):
    make_folder(*layout(), root="dtd/dtd/images")
    labels = tmp_path / "dtd" / "dtd" / "labels"
    labels.mkdir()
    for number, split in enumerate(("train", "val", "test")):
        (labels / f"{split}1.txt").write_text(f"cat/{number}.png\ndog/{number}.png\n")
    splits = load_splits("torch/DTD", root=str(tmp_path), image_size=8)
    assert [len(splits[n]) for n in ("train", "validation", "test")] == [2, 2, 2]
    assert splits.test.labels.tolist() == [0, 1]


def test_every_torchvision_name_has_a_class():
    import torchvision.datasets

    assert len(TORCH_NAMES) > 10
    for known in TORCH_NAMES.values():
        assert hasattr(torchvision.datasets, known.cls)
        assert "train" in known.splits


def test_wrong_names_and_options_of_torchvision_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UnknownName, match="did you mean cifar10"):
        load_splits("torch/cifar11", root=str(tmp_path))
    with pytest.raises(InvalidArgument, match="root"):
        load_splits("torch/cifar10")

    for option in ("foo", "root", "train", "download"):
        with pytest.raises(UnknownName, match=f"CIFAR10 '{option}'"):
            load_splits("torch/cifar10", root=str(tmp_path), options={option: 1})

    def unreachable(*args, **kwargs):
        raise RuntimeError("no network\nfor a reason")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", unreachable)
    with pytest.raises(DataError, match=r"'torch/cifar10' cannot be loaded \(no network\)"):
        load_splits("torch/cifar10", root=str(tmp_path))
