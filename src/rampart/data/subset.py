"""A part of a split for an evaluation: a number of images, a list, or a stratified draw.

An image keeps its number in the whole split. The number keys its noise, so its result does not
depend on the other images of the evaluation.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rampart.data.id_list import read_ids
from rampart.data.splits import Item, Split
from rampart.errors import DataError, InvalidArgument
from rampart.runtime import Noise

Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Subset(Split):
    """Some images of a split; item `i` is `(image uint8 (C, H, W), label, numbers[i])`.

    Attributes:
        numbers: (N,) int64, positions in the whole split.
    """

    numbers: Positions

    def __getitem__(self, index: int) -> Item:
        return self.pixels(index), int(self.labels[index]), int(self.numbers[index])

    def subset(self, positions: Sequence[int] | Positions) -> "Subset":
        """Return the images at these positions in the subset, with their numbers."""
        return numbered(super().subset(positions), self.numbers[np.asarray(positions)])


def subset(
    split: Split,
    *,
    limit: int | None = None,
    ids: Sequence[str] | str | Path | None = None,
    stratified: bool = False,
    seed: int = 0,
) -> Split:
    """Return some images of a split in its order; the split itself without `limit` and `ids`.

    With the same seed a larger `limit` draws all images of a smaller one.

    Args:
        split: the images to choose from.
        limit: number of images to draw at random; from `ids` if both are given.
        ids: ids of the images, or a text file with one id on each line.
        stratified: draw the fraction of each class, rounded up or down.
        seed: of the draw.

    Raises:
        InvalidArgument: `limit` is not from 1 to the number of images, or `stratified` comes
            without it.
        DataError: an id is unknown or listed twice, or the file cannot be read.
    """
    if stratified and limit is None:
        raise InvalidArgument("stratified", True, "a limit too", "set the number of images to draw")
    if limit is None and ids is None:
        return split
    numbers = numbers_of(split)
    chosen = np.arange(len(split)) if ids is None else _positions(split, ids)
    if limit is not None:
        _check_limit(limit, len(chosen))
        chosen = _in_order(split, chosen, limit, stratified, seed)
    chosen = np.sort(chosen)
    return numbered(Split.subset(split, chosen), numbers[chosen])


def drawing_order(
    split: Split,
    *,
    limit: int | None = None,
    ids: Sequence[str] | str | Path | None = None,
    stratified: bool = False,
    seed: int = 0,
) -> Positions:
    """Return the numbers of the images in the order in which `subset` draws them, (N,) int64.

    The first n are those of `subset(split, limit=n, ...)`.

    Args:
        split, ids, stratified, seed: as for `subset`.
        limit: length of the order; by default all images.

    Raises:
        InvalidArgument: `limit` is not from 1 to the number of images.
        DataError: an id is unknown or listed twice, or the file cannot be read.
    """
    chosen = np.arange(len(split)) if ids is None else _positions(split, ids)
    if limit is not None:
        _check_limit(limit, len(chosen))
    length = len(chosen) if limit is None else limit
    return numbers_of(split)[_in_order(split, chosen, length, stratified, seed)]


def numbers_of(split: Split) -> Positions:
    """Return the number of each image in the whole split, (N,) int64."""
    return split.numbers if isinstance(split, Subset) else np.arange(len(split))


def numbered(split: Split, numbers: Positions) -> Subset:
    """Return a split whose images have these numbers in the whole split, (N,) int64."""
    return Subset(
        split.ids, split.labels, split.class_names, split.pixels, numbers, facts=split.facts
    )


def having(split: Split, numbers: Positions) -> Subset:
    """Return the images of a split with these numbers, in the order of the split."""
    chosen = np.flatnonzero(np.isin(numbers_of(split), numbers))
    return numbered(Split.subset(split, chosen), numbers_of(split)[chosen])


def _in_order(
    split: Split, chosen: Positions, limit: int, stratified: bool, seed: int
) -> Positions:
    """Return the first `limit` of the chosen positions in the order of the draw."""
    order = _order_by_noise(numbers_of(split)[chosen], seed, "subset")
    if stratified:
        order = order[_by_fraction(split.labels[chosen][order], limit, seed)]
    return chosen[order[:limit]]


def _check_limit(limit: int, available: int) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= available:
        raise InvalidArgument(
            "limit",
            limit,
            f"an integer from 1 to {available}, the number of images",
            "leave it out to use all of them",
        )


def _positions(split: Split, ids: Sequence[str] | str | Path) -> Positions:
    wanted = read_ids(ids) if isinstance(ids, str | Path) else list(ids)
    if not wanted:
        raise DataError("the list of ids is empty; name at least one image.")
    place = {identity: position for position, identity in enumerate(split.ids)}
    unknown = [identity for identity in wanted if identity not in place]
    if unknown:
        listed = ", ".join(f"'{identity}'" for identity in unknown[:3])
        raise DataError(
            f"{len(unknown)} of {len(wanted)} ids are not in the split: {listed}"
            f"{', ...' if len(unknown) > 3 else ''}; its ids look like '{split.ids[0]}'."
        )
    identity, count = Counter(wanted).most_common(1)[0]
    if count > 1:
        raise DataError(f"the id '{identity}' is listed {count} times; list each image once.")
    return np.array([place[identity] for identity in wanted], dtype=np.int64)


def _order_by_noise(numbers: Positions, seed: int, purpose: str) -> Positions:
    """Return a random order that depends only on the numbers and the seed."""
    noise = Noise.of(seed, torch.from_numpy(numbers), purpose).uniform(1)[:, 0].numpy()
    return np.lexsort((numbers, noise))


def _by_fraction(labels: Positions, limit: int, seed: int) -> Positions:
    """Return positions whose first n, for any n, have each class in its fraction of n.

    The quota method (Balinski and Young 1975, "The quota method of apportionment", section 4): the
    next image comes from the class with the largest size / (taken + 1), among the classes that stay
    within their exact fraction rounded up. No class then falls below its exact fraction rounded
    down, and a longer draw contains every shorter one.

    Args:
        labels: (N,) int64; the images of each class are taken in this order.
        limit: number of positions.
        seed: breaks ties between classes.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    tie_break = _order_by_noise(classes, seed, "subset classes")
    classes, sizes = classes[tie_break], sizes[tie_break]
    members = [np.flatnonzero(labels == label) for label in classes]
    taken = np.zeros(len(classes), dtype=np.int64)
    order = []
    for count in range(1, limit + 1):
        within = taken * len(labels) < count * sizes
        turn = int(np.where(within, sizes / (taken + 1), 0).argmax())
        order.append(members[turn][taken[turn]])
        taken[turn] += 1
    return np.array(order)
