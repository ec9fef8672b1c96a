import re

import numpy as np
import pytest
import torchvision.datasets

from rampart.data.catalogue import catalogue
from rampart.data.completing import complete_splits
from rampart.data.readers.torchvision import TORCH_NAMES
from rampart.data.splits import SPLIT_NAMES, InMemory, Split

STUDY = ("aircraft", "caltech256", "cars", "cub200", "dogs", "imagenette")


def test_the_datasets_of_the_publication_are_there():
    assert set(STUDY) <= set(catalogue())
    images = {name: tuple(catalogue()[name].images.values()) for name in STUDY}
    assert images == {
        "aircraft": (3334, 3333, 3333),
        "caltech256": (30607,),
        "cars": (8144, 8041),
        "cub200": (5994, 5794),
        "dogs": (12000, 8580),
        "imagenette": (9469, 3925),
    }


@pytest.mark.parametrize("name", catalogue())
def test_an_entry_is_consistent(name):
    entry = catalogue()[name]
    total = sum(entry.images.values())
    assert entry.sources
    for counts in (entry.images, entry.study, *(source.images for source in entry.sources)):
        assert set(counts) <= set(SPLIT_NAMES)
        assert not counts or sum(counts.values()) == total, "a source loses no image"
    for source in entry.sources:
        library, _, rest = source.data.partition("/")
        if library == "torch":
            assert hasattr(torchvision.datasets, TORCH_NAMES[rest].cls)
        else:
            assert re.fullmatch("hfds/[^/]+/[^/]+", source.data)
            revision = source.options.get("revision", "refs/convert/parquet")
            assert re.fullmatch("[0-9a-f]{40}|refs/convert/parquet", revision)
    options = {key for source in entry.sources for key in source.options}
    facts = {*vars(entry), "rename", *options}
    assert set(entry.inferred) <= facts


def labels_of(entry):
    """Labels of as many images as the training split has, nearly equal in every class."""
    sizes = np.full(entry.classes, entry.images["train"] // entry.classes)
    sizes[: entry.images["train"] % entry.classes] += 1
    return np.repeat(np.arange(entry.classes), sizes)


@pytest.mark.parametrize("name", [name for name in STUDY if catalogue()[name].study])
def test_missing_splits_have_the_sizes_of_the_publication(name):
    import torch

    entry = catalogue()[name]
    labels = labels_of(entry)
    names = [str(number) for number in range(entry.classes)]
    # Every picture is another one, so that none counts as a copy.
    pixels = torch.arange(len(labels)).view(torch.uint8).view(-1, 1, 2, 4)
    train = Split([str(i) for i in range(len(labels))], labels, names, InMemory(pixels))
    found = {"train": train}
    if "test" in entry.images:
        last = entry.study["test"]
        others = torch.arange(10**6, 10**6 + last).view(torch.uint8).view(-1, 1, 2, 4)
        ids = [f"test/{i}" for i in range(last)]
        found["test"] = Split(ids, np.arange(last) % entry.classes, names, InMemory(others))
    fractions = {"test": 0.2, "validation": 0.1}
    splits = complete_splits(found, (), fractions, 0, entry.per_class)
    assert {one: len(splits[one]) for one in SPLIT_NAMES} == entry.study
