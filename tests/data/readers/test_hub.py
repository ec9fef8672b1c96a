import pytest

from rampart.data.datasets import load_splits
from rampart.data.readers import hub
from rampart.errors import MissingExtra, UnknownName


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
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rampart-rft\[hub\]"):
        load_splits(f"hfds/{hub_folder}")
