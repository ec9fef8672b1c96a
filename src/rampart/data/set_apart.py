"""Divide a split in two, class by class."""

import numpy as np

from rampart.data.splits import Split
from rampart.errors import DataError, InvalidArgument
from rampart.runtime import derive


def check_fraction(name: str, fraction: float) -> None:
    """Raise `InvalidArgument` unless `fraction` lies strictly between 0 and 1."""
    if not 0 < fraction < 1:
        raise InvalidArgument(
            name,
            fraction,
            "a fraction of the images in (0, 1), because every run needs both splits",
            "write 0.1 for one image in ten",
        )


def set_apart(split: Split, fraction: float, seed: int, name: str) -> tuple[Split, Split]:
    """Divide a split in two, class by class, in an order drawn from `seed`.

    Args:
        split: the images to divide.
        fraction: fraction of the images in the second part, in (0, 1).
        seed: seed of the data.
        name: name of the second part, "validation" or "test"; it keys the draw.

    Returns:
        the first and the second part; the second has the rounded fraction of each class, and at
        least one image of it.

    Raises:
        InvalidArgument: `fraction` lies outside (0, 1), or is too small for one image of each
            class.
        DataError: a class is too small for an image in both parts.
    """
    check_fraction(f"{name}_fraction", fraction)
    _check_enough(split, fraction, name)
    rng = np.random.default_rng(derive(seed, "set apart", name))
    apart: list[int] = []
    for label in range(len(split.class_names)):
        members = np.flatnonzero(split.labels == label)
        count = max(1, round(fraction * len(members)))
        apart += rng.permutation(members)[:count].tolist()
    rest = np.setdiff1d(np.arange(len(split)), apart)
    return split.subset(rest), split.subset(np.sort(np.array(apart)))


def _check_enough(split: Split, fraction: float, name: str) -> None:
    counts = np.bincount(split.labels, minlength=len(split.class_names))
    if round(fraction * len(split)) < len(counts):
        least = -(-1000 * len(counts) // len(split)) / 1000
        fix = "add images" if least >= 0.5 else f"use at least {least}"
        raise InvalidArgument(
            f"{name}_fraction",
            fraction,
            f"at least one image for each of the {len(counts)} classes out of {len(split)} images",
            fix,
        )
    for label, count in enumerate(counts):
        if count - max(1, round(fraction * count)) < 1:
            raise DataError(
                f"class '{split.class_names[label]}' has {count} training image(s), too few to use "
                f"{fraction:g} of them for {name}; add images or remove the class."
            )
