import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from rampart.data import from_torch
from rampart.data.decode import Decode
from rampart.data.from_torch import split_of
from rampart.errors import DataError, InvalidArgument, RampartError

GREYS = torch.arange(6 * 3 * 4 * 4, dtype=torch.uint8).view(6, 3, 4, 4)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


class Pictures:
    """Pictures of PIL, as in the datasets of torchvision."""

    def __init__(self, sizes=((4, 4),) * 6, classes=("a", "b", "c")):
        self.sizes, self.classes = sizes, list(classes)

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        width, height = self.sizes[index]
        pixels = np.full((height, width, 3), 40 * index, np.uint8)
        return Image.fromarray(pixels), index % 3


def pixels(split):
    return torch.stack([split[row][0] for row in range(len(split))])


@pytest.mark.parametrize(
    "images", [GREYS, GREYS / 255, (GREYS / 255).double(), (GREYS / 255).bfloat16()]
)
def test_tensors_are_pixels(images):
    split = split_of(TensorDataset(images, LABELS))
    assert pixels(split).equal(GREYS)
    assert split.labels.tolist() == LABELS.tolist()
    assert split.class_names == ["0", "1", "2"]
    assert pixels(split_of((images, LABELS))).equal(GREYS)


def test_pictures_keep_their_size_or_are_cropped():
    split = split_of(Pictures())
    assert split.pixels(1).shape == (3, 4, 4)
    assert split.class_names == ["a", "b", "c"]
    assert split_of(Pictures(((6, 4),) * 6)).pixels(0).shape == (3, 4, 6)
    assert split_of(Pictures(((9, 4), (4, 7))), decode=Decode(4, 1)).pixels(1).shape == (1, 4, 4)
    with pytest.raises(DataError, match="image 1"):
        split_of(Pictures(((9, 4), (4, 7))))


def test_names_of_classes_are_found_through_subsets():
    assert split_of(Subset(Pictures(), [4, 1])).class_names == ["a", "b", "c"]


def test_an_id_depends_on_position_and_pixels():
    first, second = split_of((GREYS, LABELS), "test/"), split_of((GREYS.flip(0), LABELS), "test/")
    assert first.ids[2].startswith("test/2-")
    assert not set(first.ids) & set(second.ids)


def test_a_loader_is_read_in_the_order_of_its_dataset():
    dataset = TensorDataset(GREYS, LABELS)
    state = torch.get_rng_state()
    for options in ({}, {"shuffle": True, "drop_last": True}, {"batch_size": None}):
        loader = DataLoader(dataset, **{"batch_size": 4, **options})
        assert split_of(loader).ids == split_of(dataset).ids
    part = DataLoader(dataset, sampler=SubsetRandomSampler([5, 2, 3]))
    assert split_of(part).ids == [split_of(dataset).ids[row] for row in (2, 3, 5)]
    own = DataLoader(dataset, batch_sampler=[[4], [0, 1]])
    assert split_of(own).labels.tolist() == [0, 1, 1]
    assert torch.get_rng_state().equal(state)


def test_a_sampler_with_repeated_images_is_refused():
    loader = DataLoader(TensorDataset(GREYS, LABELS), sampler=WeightedRandomSampler([1.0] * 6, 60))
    with pytest.raises(InvalidArgument, match="sampler"):
        split_of(loader)


def test_the_collate_function_of_a_loader_is_used():
    def collate(items):
        images, labels = zip(*items, strict=True)
        return torch.stack(images).flip(1), torch.tensor(labels)

    loader = DataLoader(TensorDataset(GREYS, LABELS), batch_size=4, collate_fn=collate)
    assert pixels(split_of(loader)).equal(GREYS.flip(1))


class Stream(IterableDataset):
    def __iter__(self):
        yield from zip(GREYS, LABELS, strict=True)


def test_data_that_can_only_be_iterated_are_read_once():
    assert pixels(split_of(DataLoader(Stream(), batch_size=4))).equal(GREYS)
    batches = ((GREYS[rows], LABELS[rows]) for rows in ([0, 1, 2], [3, 4, 5]))
    assert split_of(batches).labels.tolist() == LABELS.tolist()
    single = split_of(Stream())
    assert pixels(single).equal(GREYS)
    assert single.labels.tolist() == LABELS.tolist()
    pictures = split_of((Pictures()[row] for row in range(6)), decode=Decode(2))
    assert pixels(pictures).equal(pixels(split_of(Pictures(), decode=Decode(2))))


def test_large_data_are_read_when_needed(monkeypatch):
    monkeypatch.setattr(from_torch, "cache_limit", lambda: 100)
    split = split_of(TensorDataset(GREYS, LABELS), "train/")
    assert not split.in_memory
    assert split.ids[0] == "train/0"
    assert pixels(split).equal(GREYS)


class Columns:
    """Columns by name, as in a frame of pandas."""

    def __len__(self):
        return 2

    def __getitem__(self, name):
        raise KeyError(name)


class Random(TensorDataset):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return torch.rand(image.shape), label


class RandomLabel(TensorDataset):
    def __getitem__(self, index):
        return super().__getitem__(index)[0], int(torch.randint(1000, ()))


class Damaged(TensorDataset):
    def __getitem__(self, index):
        if index == 3:
            raise FileNotFoundError("lost.png")
        return super().__getitem__(index)


class Broken(IterableDataset):
    def __iter__(self):
        yield GREYS[0], 0
        raise OSError("a shard is lost")


NOT_FINITE = GREYS / 255
NOT_FINITE[4, 0, 0, 0] = float("nan")

REFUSED = {
    "random": Random(GREYS, LABELS),
    "again": RandomLabel(GREYS, LABELS),
    "item 3.*lost.png": Damaged(GREYS, LABELS),
    "item 3.*FileNotFound": DataLoader(Damaged(GREYS, LABELS), 2),
    "batch 1.*shard": Broken(),
    "item 0.*KeyError": Columns(),
    "image 4.*repair": TensorDataset(NOT_FINITE, LABELS),
    "sparse": (GREYS.to_sparse(), LABELS),
    "without values": (GREYS.to("meta"), LABELS),
    "permute": (torch.zeros(6, 8, 8, 3), LABELS),
    "one pixel": (torch.zeros(6, 3, 0, 8), LABELS),
    "from_numpy": (GREYS, LABELS.numpy()),
    "two tensors": (GREYS, LABELS, LABELS),
    "one folder": ["photos/train", "photos/val"],
    "pixels": TensorDataset(GREYS / 128, LABELS),
    "label": TensorDataset(GREYS, torch.eye(6)),
    "items": [{"image": GREYS[0], "label": 0}],
    "3 parts": TensorDataset(GREYS, LABELS, LABELS),
    "tensor": TensorDataset(GREYS.flatten(1), LABELS),
    "ndarray": [(np.zeros((4, 4, 3)), 0)],
    "int64": TensorDataset(GREYS.long(), LABELS),
    "no images": [],
    "labels": (GREYS, LABELS[:3]),
    "data=int": 3,
    "data=folder": "photos",
    "16|8 bits": [(Image.fromarray(np.zeros((4, 4), np.uint16)), 0)],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_unreadable_data_are_refused(reason):
    with pytest.raises(RampartError, match=reason):
        split_of(REFUSED[reason])
