"""Splits from datasets, loaders and tensors of torch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

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

from rampart.data.decode import Decode
from rampart.data.items import (
    ONE_FOLDER,
    check_batch,
    digest_of,
    facts_of,
    image_of,
    is_item,
    label_of,
    numbered_names,
    pair_of,
    require_size,
)
from rampart.data.memory import cache_limit
from rampart.data.pictures import Facts
from rampart.data.splits import InMemory, Split
from rampart.errors import DataError, InvalidArgument, RampartError, reason
from rampart.progress.work import watched
from rampart.runtime import scoped_seed

T = TypeVar("T")

#: Readable kinds of data, for messages.
READABLE = "a folder, a Dataset or DataLoader of (image, label), or tensors (images, labels)"
#: Number of items that are read twice to check that they are equal.
READ_TWICE = 8


def split_of(data: Any, prefix: str = "", decode: Decode | None = None) -> Split:
    """Return the images of a dataset, a loader or two tensors as a split.

    An image is a picture of PIL, a uint8 tensor (C, H, W), or a floating-point tensor (C, H, W)
    with pixels in [0, 1], which is rounded to 8 bits as in an image file. A label is a whole number
    from 0. Every item is read once. Images that take at most a quarter of the free memory stay in
    it; larger data are read again at every access.

    - From a `DataLoader` the `.dataset` is read in its own order, with the images of the sampler.
      Batch size, shuffling and `drop_last` do not matter. Its own `collate_fn` is called on one
      item at a time. If the dataset is an `IterableDataset`, the loader is iterated once into
      memory.
    - An iterable of batches ((N, C, H, W), (N,)) or of items is iterated once into memory.

    The id of an image is its position. In memory it also has a digest of the pixels, so that
    records of images in another order are not compared by mistake.

    Args:
        data: see above.
        prefix: of the ids, such as "train/".
        decode: turns pictures of PIL into pixels; by default they keep their size and stay gray or
            RGB.

    Raises:
        InvalidArgument: the data cannot be read, or pixels lie outside [0, 1].
        DataError: there are no images, their sizes differ, an item cannot be read or differs when
            it is read again, or a label is not a class.
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
    if isinstance(data, str | Path):
        raise InvalidArgument("data", f"folder '{data}' in a tuple", READABLE, ONE_FOLDER)
    raise InvalidArgument("data", type(data).__name__, READABLE)


def class_names_of(data: Any) -> list[str] | None:
    """Return the class names of a dataset in torchvision's form; None without any."""
    for _ in range(10):
        names = getattr(data, "classes", None) or getattr(data, "categories", None)
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return list(names)
        data = getattr(data, "dataset", None)
    return None


@dataclass(frozen=True)
class _Items:
    """A source of items.

    Attributes:
        fetch: position to (image, label).
        positions: of the items to read, each once.
        class_names: of the dataset, if it has any.
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
            raise DataError("the data have no images: give at least one.")
        labels, images, facts = [], [], []
        # Transforms may draw from the global generator of torch, which must not change.
        with scoped_seed(0, "reading data"):
            first = self._require_same_again(items)
            in_memory = len(items.positions) * first.numel() <= cache_limit()
            for position in watched(items.positions, "reading images", len(items.positions)):
                given, label = _fetch(items.fetch, position)
                image = image_of(given, position, self.decode)
                require_size(image, first, position)
                labels.append(label_of(label))
                facts.append(facts_of(given))
                if in_memory:
                    images.append(image)
        if in_memory:
            return self._in_memory(images, labels, facts, items.positions, items.class_names)
        ids = [f"{self.prefix}{position}" for position in items.positions]
        pixels = _ReadAgain(self, items)
        names = items.class_names or numbered_names(labels)
        return Split(ids, np.array(labels), names, pixels, facts=facts)

    def read_batches(self, batches: Iterable[Any], name: str) -> Split:
        """Return the split of batches, in memory."""
        images: list[Tensor] = []
        labels: list[int] = []
        with scoped_seed(0, "reading data"):
            for batch in _each(batches):
                pair = pair_of(batch, name)
                if is_item(*pair):
                    pair = ([pair[0]], [pair[1]])
                else:
                    check_batch(*pair)
                for image, label in zip(*pair, strict=True):
                    images.append(image_of(image, len(images), self.decode))
                    labels.append(label_of(label))
        if not images:
            raise DataError("the data have no images: give at least one.")
        for row, image in enumerate(images):
            require_size(image, images[0], row)
        facts = [facts_of(image) for image in images]
        return self._in_memory(images, labels, facts, range(len(images)), class_names_of(batches))

    def image(self, items: _Items, row: int) -> Tensor:
        """Return one image again, (C, H, W) uint8."""
        with scoped_seed(0, "reading data", row):
            return self._item(items, items.positions[row])[0]

    def _item(self, items: _Items, position: int) -> tuple[Tensor, int]:
        image, label = _fetch(items.fetch, position)
        return image_of(image, position, self.decode), label_of(label)

    def _require_same_again(self, items: _Items) -> Tensor:
        """Return the first image; refuse data with a random transform."""
        for position in items.positions[:READ_TWICE]:
            (image, label), (again, its_label) = (self._item(items, position) for _ in range(2))
            if label != its_label or not torch.equal(image, again):
                raise DataError(
                    f"item {position} of the data differs when it is read again: remove random "
                    "transforms, because training augments images itself (data.augment)."
                )
        return self._item(items, items.positions[0])[0]

    def _in_memory(
        self,
        images: list[Tensor],
        labels: list[int],
        facts: list[Facts],
        positions: Sequence[int],
        class_names: list[str] | None,
    ) -> Split:
        ids = [
            f"{self.prefix}{position}-{digest_of(image)}"
            for position, image in zip(positions, images, strict=True)
        ]
        names = class_names or numbered_names(labels)
        return Split(ids, np.array(labels), names, InMemory(torch.stack(images)), facts=facts)


@dataclass(frozen=True)
class _ReadAgain:
    """Pixels of items that are read at every access."""

    reader: _Reader
    items: _Items

    def __call__(self, row: int) -> Tensor:
        return self.reader.image(self.items, row)


def _fetch(fetch: Callable[[int], Any], position: int) -> tuple[Any, Any]:
    """Return image and label of one item; errors of the dataset name it."""
    return pair_of(_call(lambda: fetch(position), f"item {position}"), "data")


def _each(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield the batches; errors of the data name the batch."""
    iterator, end = _call(lambda: iter(batches), "batch 0"), object()
    number = 0
    while (batch := _call(lambda: next(iterator, end), f"batch {number}")) is not end:
        yield batch
        number += 1


def _call(read: Callable[[], T], part: str) -> T:
    try:
        return read()
    except RampartError:
        raise
    except Exception as error:
        raise DataError(
            f"{part} of the data cannot be read ({reason(error)}): leave it out, or give a dataset "
            "of items (image, label)."
        ) from error


def _items_of_loader(loader: DataLoader[Any]) -> _Items | None:
    """Return the items of a loader's dataset; None if it can only be iterated."""
    dataset = loader.dataset
    if isinstance(dataset, IterableDataset):
        return None
    own = loader.collate_fn is not default_collate and loader.batch_sampler is not None
    fetch = _Collated(dataset, loader.collate_fn) if own else dataset.__getitem__
    length = len(dataset)  # type: ignore[arg-type]  # as every dataset with items by number
    return _Items(fetch, _positions(loader, length), class_names_of(dataset))


@dataclass(frozen=True)
class _Collated:
    """Items of a dataset through the `collate_fn` of a loader, one at a time."""

    dataset: Any
    collate: Callable[[list[Any]], Any]

    def __call__(self, position: int) -> Any:
        images, labels = pair_of(self.collate([self.dataset[position]]), "loader")
        return images[0], labels[0]


def _positions(loader: DataLoader[Any], length: int) -> Sequence[int]:
    """Return the positions in a loader's sampler, in the order of the dataset.

    Raises:
        InvalidArgument: a position occurs twice.
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
            "a sampler without repeated images",
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
    """Whether the data have single images by number, unlike a list of batches."""
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")) or isinstance(
        data, str | bytes | dict
    ):
        return False
    if not len(data):
        raise DataError("the data have no images: give at least one.")
    with scoped_seed(0, "reading data"):
        first = _call(lambda: data[0], "item 0")
    image = first[0] if isinstance(first, tuple | list) and len(first) else None
    return not (isinstance(image, Tensor) and image.ndim == 4)
