"""Datasets by short name: their sources, and the numbers that they must have."""

import pytest

from hub_files import files
from rampart.data.catalogue import catalogue
from rampart.data.datasets import load_defined, load_splits
from rampart.errors import DataError, InvalidArgument
from torchvision_files import MAKERS, caltech256


@pytest.mark.parametrize("name", MAKERS)
def test_files_of_torchvision(name, tmp_path, monkeypatch):
    # Its class compares the digests of the real files.
    monkeypatch.setattr("torchvision.datasets.flowers102.check_integrity", lambda *_: True)
    counts = MAKERS[name](tmp_path)
    how = {"root": str(tmp_path), "image_size": 8}
    if not catalogue()[name].per_class:
        how["validation_fraction"] = 0.2
    published = load_defined(name, **how, options={"counts": counts})
    found = {split: len(part) for split, part in published.parts.items()}
    assert {**found, "classes": counts["classes"]} == counts
    assert f"{name} is read from torch/" in published.notes[0]
    assert published.splits().image_shape == (3, 8, 8)


def test_imagenette_has_the_first_of_the_synonyms_as_names(tmp_path):
    options = {"counts": MAKERS["imagenette"](tmp_path)}
    splits = load_splits("imagenette", root=str(tmp_path), image_size=8, options=options)
    assert splits.class_names == ["tench", "English springer"]


def test_caltech_is_drawn_by_numbers_as_in_the_publication(tmp_path):
    counts = caltech256(tmp_path)
    how = {"root": str(tmp_path), "image_size": 8}
    splits = load_splits("caltech256", **how, options={"counts": counts})
    assert [len(splits[n]) for n in ("train", "validation", "test")] == [114, 6, 30]
    assert [(splits.test.labels == k).sum() for k in (0, 1)] == [10, 20]
    assert "all but 60 of each class" in splits.notes[1]
    assert "3 of each class" in splits.notes[2]
    splits = load_splits("caltech256", **how, options={"counts": counts, "draw": "fractions"})
    assert [len(splits[n]) for n in ("train", "validation", "test")] == [108, 12, 30]
    with pytest.raises(InvalidArgument, match="options.draw"):
        load_splits("caltech256", **how, options={"counts": counts, "draw": "half"})


def test_a_class_that_is_too_small_for_the_numbers_is_named(tmp_path):
    counts = caltech256(tmp_path, (60, 80))
    with pytest.raises(DataError, match="'001.thing1' has 60 training images, .*for test"):
        load_splits("caltech256", root=str(tmp_path), image_size=8, options={"counts": counts})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_dataset_of_the_hub_by_its_short_name(cub):
    splits = load_splits("cub200", image_size=8)
    assert [len(splits[n]) for n in ("train", "validation", "test")] == [18, 2, 6]
    assert "cub200 is read from hfds/Donghyun99/CUB-200-2011" in splits.notes[0]
    cub.close()
    assert load_splits("cub200", image_size=8).fingerprint() == splits.fingerprint()


ON_HUB = [
    (name, source)
    for name, entry in catalogue().items()
    for source in entry.sources
    if source.library == "hub"
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(("name", "source"), ON_HUB, ids=[source.data for _, source in ON_HUB])
def test_every_source_on_the_hub_is_asked_for_its_revision_and_columns(local_hub, name, source):
    images = source.images or catalogue()[name].images
    own = {official: name for name, official in source.rename.items()}
    # Per class; caltech256 takes sixty of each.
    sizes = {"train": 70, "validation": 3, "test": 2}
    served = files(
        source.options.get("data_dir", "data"),
        **{own.get(split, split): sizes[split] for split in images},
    )
    ref = source.options.get("revision", "main")
    local_hub.add(source.data.removeprefix("hfds/"), served, "datasets", ref=ref)
    counts = {split: 2 * sizes[split] for split in images} | {"classes": 2}
    options = {"source": source.data, "counts": counts}
    splits = load_splits(name, image_size=8, options=options)
    assert splits.class_names == ["cat", "dog"]
    for split in images:
        if {"validation", "test"} <= set(images) or split == "test":
            assert len(splits[split]) == counts[split]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_wrong_number_names_the_difference_and_what_to_pass(cub):
    name = "Donghyun99/CUB-200-2011"
    revision = cub.add(name, files(train=9, test=4), "datasets")
    options = {"revision": revision}
    with pytest.raises(DataError) as refused:
        load_splits("cub200", image_size=8, options=options)
    assert "18 train images, expected 20 (2 missing)" in str(refused.value)
    assert "8 test images, expected 6 (2 too many)" in str(refused.value)
    assert "'data.options.counts={train: 18, test: 8, classes: 2}'" in str(refused.value)
    counts = {"train": 18, "test": 8, "classes": 2}
    for other in ({**options, "counts": counts}, {**options, "counts": {"train": 18, "test": 8}}):
        assert len(load_splits("cub200", image_size=8, options=other).test) == 8
    with pytest.raises(DataError, match="2 classes, expected 3 .1 missing."):
        load_splits("cub200", image_size=8, options={"counts": {**counts, "classes": 3}})
    for wrong in (18, {"train": "many"}, {"tests": 8}):
        with pytest.raises(InvalidArgument, match="options.counts"):
            load_splits("cub200", image_size=8, options={"counts": wrong})


def test_other_data_may_be_the_source(make_folder, layout, tmp_path):
    folder = make_folder(*layout("train", "test", count=10))
    options = {"source": str(folder), "counts": {"train": 20, "test": 20, "classes": 2}}
    assert len(load_splits("cub200", image_size=8, options=options).test) == 20
    with pytest.raises(DataError, match=f"20 train images, expected 5994.*{folder}"):
        load_splits("cub200", image_size=8, options={"source": str(folder)})
    with pytest.raises(InvalidArgument, match="options.source=torch: expected hub or the name"):
        load_splits("cub200", options={"source": "torch"})


def test_a_source_that_cannot_be_read_points_to_another(local_hub, tmp_path):
    for name, how, says in (
        ("cars", {}, "or read it from torch/stanford_cars by .*source=torch data.root=FOLDER"),
        ("cars", {"root": str(tmp_path)}, "by data.options.source=hub"),
        ("caltech256", {"options": {"source": "hub"}}, "by data.options.source=torch"),
    ):
        with pytest.raises(DataError, match=says):
            load_splits(name, **how)
    with pytest.raises(DataError, match="cub200|CUB") as refused:
        load_splits("cub200")
    assert "or read it" not in str(refused.value), "there is no other source"


def test_the_root_decides_between_torchvision_and_the_hub(monkeypatch, tmp_path):
    read = []
    monkeypatch.setattr("rampart.data.datasets.load_library", lambda request: read.append(request))
    for options, root in (({}, ""), ({}, "files"), ({"source": "hub"}, "files")):
        with pytest.raises(TypeError):
            load_splits("cars", root=root, options=options)
    names = [request.name for request in read]
    assert names == ["hfds/Donghyun99/Stanford-Cars", "torch/stanford_cars", names[0]]
    assert read[0].options["revision"]
    assert read[1].options == {}


def test_a_folder_with_the_name_of_a_dataset_is_read(make_folder, layout, tmp_path, monkeypatch):
    make_folder(*layout(count=10), root="cars")
    monkeypatch.chdir(tmp_path)
    assert load_splits("cars", image_size=8).class_names == ["cat", "dog"]


def test_a_misspelled_dataset_is_suggested():
    with pytest.raises(DataError, match="did you mean aircraft"):
        load_splits("aircrafts")
