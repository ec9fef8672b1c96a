"""Classes of unequal sizes: weights of the loss, and orders of an epoch that even them out."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rampart.runtime import derive

Positions = NDArray[np.int64]


def balanced_weights(labels: ArrayLike, num_classes: int) -> NDArray[np.float64]:
    """Return the weight of each class, n / (K n_k), as scikit-learn's "balanced" does.

    Args:
        labels: (N,) of the training images.
        num_classes: K counts the classes that have images. A class without any gets the weight 1.

    Returns:
        (num_classes,); the mean weight of the images is 1.
    """
    counts = np.bincount(np.asarray(labels), minlength=num_classes)
    there = counts > 0
    return np.divide(counts.sum(), there.sum() * counts, out=np.ones(len(counts)), where=there)


def balanced_order(labels: ArrayLike, *, seed: int, epoch: int) -> tuple[Positions, Positions]:
    """Return the order of an epoch in which all classes have the same number of images.

    The epoch has as many images as the split, floor(n / K) or one more of each class. A small class
    repeats its images, all of them before one again. A large class shows a part of its images,
    another one in each epoch.

    Args:
        labels: (N,) of the split.
        seed: the run's seed.
        epoch: number of the epoch.

    Returns:
        (N,) positions, and (N,) how often each image came before in the epoch's draw.
    """
    known = np.asarray(labels)
    rng = np.random.default_rng(derive(seed, "balanced", epoch))
    classes = np.unique(known)
    least, rest = divmod(len(known), len(classes))
    one_more = set(rng.permutation(classes)[:rest].tolist())
    positions, repeats = [], []
    for label in classes.tolist():
        members, wanted = np.flatnonzero(known == label), least + (label in one_more)
        rounds = -(-wanted // len(members))
        drawn = [rng.permutation(members) for _ in range(rounds)]
        positions += np.concatenate([*drawn, members[:0]])[:wanted].tolist()
        repeats += np.repeat(np.arange(rounds), len(members))[:wanted].tolist()
    order = rng.permutation(len(known))
    return np.array(positions, np.int64)[order], np.array(repeats, np.int64)[order]
