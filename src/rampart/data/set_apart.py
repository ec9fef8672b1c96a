"""Divide a split in two, class by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rampart.counting import counted
from rampart.data.copies import number_pictures
from rampart.errors import DataError, InvalidArgument
from rampart.runtime import derive

if TYPE_CHECKING:
    from rampart.data.splits import Labels, Split


def check_fraction(name: str, fraction: float) -> None:
    """Raise `InvalidArgument` unless `fraction` lies strictly between 0 and 1."""
    if not 0 < fraction < 1:
        raise InvalidArgument(
            name,
            fraction,
            "a fraction of the images in (0, 1), because every run needs both splits",
            "write 0.1 for one image in ten",
        )


#: Fraction of the images for a split that the data lack. The test comes first, so that it does not
#: depend on the fraction for validation.
USUAL_FRACTIONS = {"test": 0.2, "validation": 0.1}
#: From the size of a class to the number of images to take from it.
Number = Callable[[int], int]


def set_apart(
    split: Split, fraction: float, seed: int, name: str, number: Number | None = None
) -> tuple[Split, Split]:
    """Divide a split in two, class by class, in an order drawn from `seed`.

    Args:
        split: the images to divide.
        fraction: fraction of the images in the second part, in (0, 1).
        seed: seed of the data.
        name: name of the second part, "validation" or "test"; it keys the draw.
        number: images to take from a class of a size, instead of the fraction.

    Returns:
        the first and the second part; the second has the rounded fraction of each class, and at
        least one image of it. Copies of a picture stay together, even if that changes the fraction.

    Raises:
        InvalidArgument: `fraction` lies outside (0, 1), or is too small for one image of each
            class.
        DataError: a class is too small for an image in both parts.
    """
    if number is None:
        check_fraction(f"{name}_fraction", fraction)
        _check_enough(split, fraction, name)
    number = number or (lambda size: max(1, round(fraction * size)))
    rng = np.random.default_rng(derive(seed, "set apart", name))
    pictures = number_pictures(split)
    apart, decided = np.zeros((2, len(split)), dtype=bool)  # by the number of the picture
    for label in range(len(split.class_names)):
        members = np.flatnonzero(split.labels == label)
        count = number(len(members))
        order = pictures[rng.permutation(members)]
        apart[_take(order[~decided[order]], count - int(apart[order].sum()))] = True
        decided[order] = True
    _check_both(split, apart[pictures], name)
    second = apart[pictures]
    return split.subset(np.flatnonzero(~second)), split.subset(np.flatnonzero(second))


def _take(pictures: Labels, count: int) -> Labels:
    """Return the pictures to take for `count` images, in order; copies are taken together.

    A picture with more copies than are still wanted is passed over. If every picture has more, the
    first of those with the fewest copies is taken.

    Args:
        pictures: (N,), the picture of each image.
        count: number of images to take.
    """
    found, first, copies = np.unique(pictures, return_index=True, return_counts=True)
    in_order = np.argsort(first)
    if len(found) and count > 0 and copies.min() > count:
        return found[in_order][[copies[in_order].argmin()]]
    taken = []
    for place in in_order:
        if copies[place] <= count:
            taken.append(found[place])
            count -= copies[place]
    return np.array(taken, dtype=np.int64)


def _check_both(split: Split, apart: NDArray[np.bool_], name: str) -> None:
    """Raise `DataError` if the copies of pictures leave a class without an image in one part."""
    sizes, taken = (
        np.bincount(labels, minlength=len(split.class_names))
        for labels in (split.labels, split.labels[apart])
    )
    for label in np.flatnonzero((taken == 0) | (taken == sizes)).tolist():
        raise DataError(
            f"class '{split.class_names[label]}' has {counted(sizes[label], 'training image')}, "
            f"but too few different ones to use some for {name}; add images or remove the class."
        )


def _check_enough(split: Split, fraction: float, name: str) -> None:
    counts = np.bincount(split.labels, minlength=len(split.class_names))
    if round(fraction * len(split)) < len(counts):
        least = -(-1000 * len(counts) // len(split)) / 1000
        fix = "add images" if least > 0.5 else f"use at least {least}"
        if len(split) < 2 * len(counts):
            fix = (
                "add images, or check that the labels are classes and not values or names of images"
            )
        raise InvalidArgument(
            f"{name}_fraction",
            fraction,
            f"at least one image for each of the {counted(len(counts), 'class')} out of "
            f"{counted(len(split), 'image')}",
            fix,
        )
    for label, count in enumerate(counts):
        if not count:
            raise DataError(
                f"class '{split.class_names[label]}' has no training image; number the labels from "
                "0 without gaps, or add images."
            )
        if count - max(1, round(fraction * count)) < 1:
            raise DataError(
                f"class '{split.class_names[label]}' has {counted(count, 'training image')}, too "
                f"few to use {fraction:g} of them for {name}; add images or remove the class."
            )
