"""The embedded task: two handwritten digits side by side show a number from 00 to 99.

The digits are scikit-learn's `load_digits` (E. Alpaydin and C. Kaynak, UCI repository, CC BY 4.0),
8 x 8 pixels with 17 gray levels. The digits are divided into the splits first, so no handwritten
digit lies in two splits. Then each split draws its pairs from its own digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rampart.data.splits import InMemory, Split, Splits
from rampart.deferred import F, torch
from rampart.runtime import derive

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_SIZE = 16
#: Handwritten digits for test and validation; the other 1097 are for training.
DIGITS = {"test": 500, "validation": 200}
#: Number of pairs of each of the 100 classes.
PAIRS = {"train": 10, "validation": 2, "test": 5}

Positions = NDArray[np.int64]


def digit_pairs(seed: int = 0) -> Splits:
    """Return 1000 training, 200 validation and 500 test pairs, (1, 16, 16), in 100 classes.

    Args:
        seed: seed of the data; it decides the split of each digit and the pairs.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images).float() / 16
    pools = divide(digits.target, seed)
    return Splits.of(
        {name: _pairs(images, digits.target, pools[name], name, seed) for name in PAIRS}
    )


def divide(labels: NDArray[np.int64], seed: int) -> dict[str, Positions]:
    """Return the positions of the digits of each split, with digits 0-9 in proportion."""
    from sklearn.model_selection import train_test_split

    rest, parts = np.arange(len(labels)), {}
    for name, count in DIGITS.items():
        state = derive(seed, "digits", name) % 2**32
        rest, parts[name] = train_test_split(
            rest, test_size=count, stratify=labels[rest], random_state=state
        )
    return {**parts, "train": rest}


def _pairs(
    images: Tensor, labels: NDArray[np.int64], pool: Positions, name: str, seed: int
) -> Split:
    rng = np.random.default_rng(derive(seed, "pairs", name))
    by_digit = [np.sort(pool[labels[pool] == digit]) for digit in range(10)]
    numbers = np.repeat(np.arange(100, dtype=np.int64), PAIRS[name])
    left = [rng.choice(by_digit[number // 10]) for number in numbers]
    right = [rng.choice(by_digit[number % 10]) for number in numbers]
    ids = [
        f"{name}/{n:02d}/{i:04d}-{a}-{b}"
        for i, (n, a, b) in enumerate(zip(numbers, left, right, strict=True))
    ]
    pixels = InMemory(_side_by_side(images, left, right))
    return Split(ids, numbers, [f"{n:02d}" for n in range(100)], pixels)


def _side_by_side(images: Tensor, left: Sequence[int], right: Sequence[int]) -> Tensor:
    """Return (N, 1, 16, 16) uint8: 8 x 16 pixels, stretched to twice the height."""
    wide = torch.cat([images[list(left)], images[list(right)]], dim=2)[:, None]
    square = F.interpolate(wide, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear")
    return (square * 255).round().to(torch.uint8)
