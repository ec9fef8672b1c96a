"""Batches of a split: equal for any number of processes, and resumable within an epoch.

The order of an epoch depends on (seed, epoch) alone; a balanced one also on the labels. It is cut
into global batches, and each global batch into one contiguous slice per process. All processes
together therefore see the same batches as a single one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rampart.choices import Sampler
from rampart.data.balance import balanced_order
from rampart.data.splits import Item, Split
from rampart.errors import DataError, InvalidArgument
from rampart.runtime import derive

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Some images of a split.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        indices: (N,) int64, positions in the split.
        repeats: (N,) int64, how often each image came before in the epoch's draw; None for never.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    repeats: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def noise_keys(self) -> Tensor:
        """(N,) int64, keys of the noise: the indices, and other numbers for repeated images."""
        return self.indices if self.repeats is None else self.indices + (self.repeats << 40)

    def _tensors(self) -> dict[str, Tensor]:
        return {name: one for name, one in vars(self).items() if one is not None}

    def split(self, parts: int) -> "list[Batch]":
        """Return the batch cut into equal parts."""
        cut = {name: one.chunk(parts) for name, one in self._tensors().items()}
        return [
            Batch(**{name: pieces[part] for name, pieces in cut.items()})
            for part in range(len(cut["labels"]))
        ]

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on `device`, asynchronously from pinned memory."""
        moved = {k: v.to(device, non_blocking=True) for k, v in self._tensors().items()}
        return replace(self, **moved)

    def pin_memory(self) -> "Batch":
        """Return the batch in pinned memory; torch's DataLoader calls this."""
        return replace(self, **{k: v.pin_memory() for k, v in self._tensors().items()})

    def pixels(self) -> Tensor:
        """Return the images as float32 in [0, 1], (N, C, H, W)."""
        return self.images.to(torch.float32) / 255


def steps_per_epoch(n_samples: int, batch_size: int, drop_last: bool = True) -> int:
    """Return the number of global batches in an epoch; at least one."""
    if batch_size < 1:
        raise InvalidArgument("batch_size", batch_size, "at least 1")
    return max(1, n_samples // batch_size if drop_last else -(-n_samples // batch_size))


def epoch_batches(
    split: Split,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    start: int = 0,
    workers: "int | Workers" = 0,
    drop_last: bool = True,
    sampler: Sampler = "shuffle",
) -> Iterator[Batch]:
    """Yield this process's part of an epoch's global batches, in an order keyed by (seed, epoch).

    Args:
        split: the images.
        batch_size: size of a global batch; a smaller split is one batch.
        seed: the run's seed.
        epoch: number of the epoch.
        rank: number of this process.
        world_size: number of processes; each gets an equal contiguous slice of a global batch.
        start: number of global batches to skip, for a resumed epoch.
        workers: number of processes that decode, or the processes of other epochs; images in
            memory need none.
        drop_last: drop a last batch that is not full.
        sampler: "shuffle" for each image once, "balanced" for equally many of each class.

    Raises:
        InvalidArgument: a global batch cannot be cut into `world_size` equal slices.
    """
    count = steps_per_epoch(len(split), batch_size, drop_last)

    def mine(order: Positions) -> list[Positions]:
        batches = _cut_batches(order, batch_size)[start:count]
        _check_equal_slices(batches, world_size)
        return _slices(batches, rank, world_size)

    if sampler == "shuffle":
        order = np.random.default_rng(derive(seed, "shuffle", epoch)).permutation(len(split))
        return _load(split, mine(order), workers)
    order, repeats = balanced_order(split.labels, seed=seed, epoch=epoch)
    loaded = _load(split, mine(order), workers)
    return (
        replace(batch, repeats=torch.from_numpy(own))
        for batch, own in zip(loaded, mine(repeats), strict=True)
    )


def ordered_batches(
    split: Split, batch_size: int, *, rank: int = 0, world_size: int = 1, workers: int = 0
) -> Iterator[Batch]:
    """Yield this process's part of the whole split in its own order, for evaluation.

    All processes together get every image exactly once. The slices of the last global batch may
    differ by one image, and empty slices are dropped, so gather results after the last batch.
    """
    batches = _cut_batches(np.arange(len(split)), batch_size)
    slices = [part for part in _slices(batches, rank, world_size) if len(part)]
    return _load(split, slices, workers)


def _cut_batches(order: Positions, batch_size: int) -> list[Positions]:
    if batch_size < 1:
        raise InvalidArgument("batch_size", batch_size, "at least 1")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def _slices(batches: Sequence[Positions], rank: int, world_size: int) -> list[Positions]:
    return [np.array_split(batch, world_size)[rank] for batch in batches]


def _check_equal_slices(batches: Sequence[Positions], world_size: int) -> None:
    for size in {len(batch) for batch in batches}:
        if size % world_size:
            raise InvalidArgument(
                "batch_size", size, f"a multiple of the number of processes, {world_size}"
            )


class Workers:
    """Processes that decode the images of one split, and stay from one epoch to the next.

    Args:
        count: number of processes.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._order: list[list[int]] = []
        self._loader: Iterable[Batch] | None = None

    def load(self, split: Split, slices: Sequence[Positions]) -> Iterator[Batch]:
        """Yield the batches of these positions; the split is the same at every call."""
        # The loader reads the order anew at the beginning of every epoch.
        self._order[:] = [part.tolist() for part in slices]
        if self._loader is None:
            count = 0 if split.in_memory else self.count
            self._loader = DataLoader(
                # Torch asks for its own class, and takes whatever has items and a length.
                cast(Dataset[Item], split),
                batch_sampler=self._order,
                collate_fn=_collate,
                num_workers=count,
                persistent_workers=count > 0,
                pin_memory=torch.cuda.is_available(),
                # Without its own generator a loader draws from the global one of torch.
                generator=torch.Generator(),
            )
        return _shorten_errors(self._loader)


def _load(split: Split, slices: Sequence[Positions], workers: int | Workers) -> Iterator[Batch]:
    workers = workers if isinstance(workers, Workers) else Workers(workers)
    if (split.in_memory or not workers.count) and not torch.cuda.is_available():
        return (_collate([split[int(i)] for i in part]) for part in slices)
    return workers.load(split, slices)


def _shorten_errors(loader: Iterable[Batch]) -> Iterator[Batch]:
    """Yield batches; reduce the traceback of a worker process to its message."""
    try:
        yield from loader
    except DataError as error:
        last = str(error).strip().splitlines()[-1]
        raise DataError(last.removeprefix("rampart.errors.DataError: ")) from error


def _collate(items: Sequence[Item]) -> Batch:
    images, labels, indices = zip(*items, strict=True)
    return Batch(torch.stack(images), torch.tensor(labels), torch.tensor(indices))
