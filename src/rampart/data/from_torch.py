"""Datasets, loaders and tensors of torch as splits."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from rampart.data.datasets import CACHE_LIMIT
from rampart.data.decode import Decode
from rampart.data.items import (
    check_batch,
    digest_of,
    image_of,
    label_of,
    numbered_names,
    pair_of,
    require_size,
)
from rampart.data.splits import InMemory, Split
from rampart.errors import DataError, InvalidArgument
from rampart.runtime import scoped_seed

#: What can be read, for messages.
READABLE = "a folder, a Dataset or DataLoader of (image, label), or tensors (images, labels)"
#: So many items are read twice, to see that they are the same again.
READ_TWICE = 8


def split_of(data: Any, prefix: str = "", decode: Decode | None = None) -> Split:
    """Return the images of a dataset, a loader or two tensors as a split.

    An image is a picture of PIL, a uint8 tensor (C, H, W), or a floating-point tensor (C, H, W)
    with pixels in [0, 1], which is rounded to 8 bits as in an image file. A label is a whole number
    from 0. Every item is read once; the images are kept in memory up to 1 GiB, and read again when
    they are needed beyond that.

    - Of a `DataLoader`, the `.dataset` is read, in its own order: the images that its sampler
      names. Its batch size, its shuffling and `drop_last` do not matter. A `collate_fn` of its own
      is called on one item at a time. Only where the dataset is an `IterableDataset` is the loader
      itself iterated, once, into memory.
    - An iterable of batches ((N, C, H, W), (N,)) is iterated once, into memory.

    The id of an image is its position, and where it is kept in memory a digest of its pixels, so
    that records of images in another order are not compared by mistake.

    Args:
        data: see above.
        prefix: of the ids, such as "train/".
        decode: what makes pixels of pictures of PIL; by default they keep their size, and are gray
            or RGB as they are.

    Raises:
        InvalidArgument: nothing that can be read, or pixels outside [0, 1].
        DataError: no images, images of different sizes, items that differ when they are read
            again, or labels that are no classes.
    """
    if isinstance(data, Split):
        return data
    reader = _Reader(prefix, decode)
    if _are_tensors(data):
        images, labels = data
        check_batch(images, labels)
        return reader.read(_Items(lambda row: (images[row], labels[row]), range(len(images))))
    if isinstance(data, DataLoader):
        items = _items_of_loader(data)
        return reader.read(items) if items else reader.read_batches(data, "loader")
    if _is_sequence(data):
        return reader.read(_Items(data.__getitem__, range(len(data)), class_names_of(data)))
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return reader.read_batches(data, "data")
    raise InvalidArgument("data", type(data).__name__, READABLE)


def class_names_of(data: Any) -> list[str] | None:
    """Return the names that a dataset gives its classes, as torchvision's do; None without any."""
    for _ in range(10):
        names = getattr(data, "classes", None) or getattr(data, "categories", None)
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return list(names)
        data = getattr(data, "dataset", None)
    return None


@dataclass(frozen=True)
class _Items:
    """Where items come from.

    Attributes:
        fetch: position to (image, label).
        positions: of the items to take, each once.
        class_names: where the dataset has some.
    """

    fetch: Callable[[int], Any]
    positions: Sequence[int]
    class_names: list[str] | None = None


@dataclass(frozen=True)
class _Reader:
    """Reads items into a split."""

    prefix: str
    decode: Decode | None

    def read(self, items: _Items) -> Split:
        """Return the split of items that can be read again."""
        if not len(items.positions):
            raise DataError("the data have no images.")
        labels, images = [], []
        # Transforms may draw from torch's global generator, and shall leave no trace there.
        with scoped_seed(0, "reading data"):
            first = self._require_same_again(items)
            kept = len(items.positions) * first.numel() <= CACHE_LIMIT
            for position in items.positions:
                image, label = self._item(items, position)
                require_size(image, first, position)
                labels.append(label)
                if kept:
                    images.append(image)
        if kept:
            return self._in_memory(images, labels, items.positions, items.class_names)
        ids = [f"{self.prefix}{position}" for position in items.positions]
        pixels = _Again(self, items)
        return Split(ids, np.array(labels), items.class_names or numbered_names(labels), pixels)

    def read_batches(self, batches: Iterable[Any], name: str) -> Split:
        """Return the split of batches, kept in memory."""
        images: list[Tensor] = []
        labels: list[int] = []
        with scoped_seed(0, "reading data"):
            for batch in batches:
                pair = pair_of(batch, name)
                check_batch(*pair)
                images += [image_of(image, len(images), None) for image in pair[0]]
                labels += [label_of(label) for label in pair[1]]
        if not images:
            raise DataError("the data have no images.")
        for row, image in enumerate(images):
            require_size(image, images[0], row)
        return self._in_memory(images, labels, range(len(images)), class_names_of(batches))

    def image(self, items: _Items, row: int) -> Tensor:
        """Return one image again, (C, H, W) uint8."""
        with scoped_seed(0, "reading data", row):
            return self._item(items, items.positions[row])[0]

    def _item(self, items: _Items, position: int) -> tuple[Tensor, int]:
        image, label = pair_of(items.fetch(position), "data")
        return image_of(image, position, self.decode), label_of(label)

    def _require_same_again(self, items: _Items) -> Tensor:
        """Return the first image; a random transform would make another one each time."""
        for position in items.positions[:READ_TWICE]:
            if not torch.equal(self._item(items, position)[0], self._item(items, position)[0]):
                raise DataError(
                    f"item {position} of the data is another image when it is read again: leave "
                    "out random transforms; training augments images itself (data.augment)."
                )
        return self._item(items, items.positions[0])[0]

    def _in_memory(
        self,
        images: list[Tensor],
        labels: list[int],
        positions: Sequence[int],
        class_names: list[str] | None,
    ) -> Split:
        ids = [
            f"{self.prefix}{position}-{digest_of(image)}"
            for position, image in zip(positions, images, strict=True)
        ]
        names = class_names or numbered_names(labels)
        return Split(ids, np.array(labels), names, InMemory(torch.stack(images)))


@dataclass(frozen=True)
class _Again:
    """Pixels of items that are read each time."""

    reader: _Reader
    items: _Items

    def __call__(self, row: int) -> Tensor:
        return self.reader.image(self.items, row)


def _items_of_loader(loader: DataLoader[Any]) -> _Items | None:
    """The items of a loader's dataset; None where that can only be iterated."""
    dataset = loader.dataset
    if isinstance(dataset, IterableDataset):
        return None
    own = loader.collate_fn is not default_collate and loader.batch_sampler is not None
    fetch = _Collated(dataset, loader.collate_fn) if own else dataset.__getitem__
    length = len(dataset)  # type: ignore[arg-type]  # as every dataset with items by number
    return _Items(fetch, _positions(loader, length), class_names_of(dataset))


@dataclass(frozen=True)
class _Collated:
    """Items of a dataset as a loader's own `collate_fn` makes them, one at a time."""

    dataset: Any
    collate: Callable[[list[Any]], Any]

    def __call__(self, position: int) -> Any:
        images, labels = pair_of(self.collate([self.dataset[position]]), "loader")
        return images[0], labels[0]


def _positions(loader: DataLoader[Any], length: int) -> Sequence[int]:
    """The positions that a loader's sampler names, in the dataset's order.

    Raises:
        InvalidArgument: it names one twice.
    """
    batches = loader.batch_sampler
    plain = type(batches) in (BatchSampler, type(None))
    sampler: Any = loader.sampler
    shuffled = isinstance(sampler, RandomSampler) and not sampler.replacement
    everything = isinstance(sampler, SequentialSampler) or (
        shuffled and sampler.num_samples >= length
    )
    if plain and everything:
        return range(length)
    with scoped_seed(0, "reading data"):
        drawn = list(sampler) if plain else [i for batch in batches or () for i in batch]
    if len(set(drawn)) < len(drawn):
        raise InvalidArgument(
            "loader.sampler",
            type(sampler).__name__,
            "a sampler that names each image once",
            "give the dataset itself",
        )
    return sorted(drawn)


def _are_tensors(data: object) -> bool:
    return (
        isinstance(data, tuple | list)
        and len(data) == 2
        and all(isinstance(part, Tensor) for part in data)
    )


def _is_sequence(data: Any) -> bool:
    """Whether it has items by number that are single images; a list of batches has not."""
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")) or isinstance(
        data, str | bytes | dict
    ):
        return False
    if not len(data):
        raise DataError("the data have no images.")
    with scoped_seed(0, "reading data"):
        first = data[0]
    image = first[0] if isinstance(first, tuple | list) and len(first) else None
    return not (isinstance(image, Tensor) and image.ndim == 4)
