"""Wrong labels on purpose, for tests and studies of training with noisy labels."""

from dataclasses import replace

import numpy as np
import torch

from rampart.data.splits import Labels, Splits
from rampart.data.subset import numbers_of
from rampart.errors import InvalidArgument
from rampart.runtime import Noise


def with_label_noise(splits: Splits, fraction: float, seed: int) -> Splits:
    """Return the splits with wrong labels for a fraction of the training images.

    The noise is symmetric: round(fraction * N) of N images get another class, and each other class
    is equally likely. Validation and test images keep their labels. `Splits.true_labels` has the
    labels before.

    Args:
        splits: the data; they are not changed.
        fraction: of the training images, in [0, 1); 0 returns the splits themselves.
        seed: the draw depends on it and on the number of each image in the training split.

    Raises:
        InvalidArgument: the fraction lies outside [0, 1), or there is only one class.
    """
    if not 0 <= fraction < 1:
        raise InvalidArgument("label_noise", fraction, "a fraction in [0, 1)", "0.2 means 20 %")
    if not fraction:
        return splits
    train, classes = splits.train, len(splits.class_names)
    if classes < 2:
        raise InvalidArgument("label_noise", fraction, "0 for data with one class")
    labels = noisy_labels(train.labels, numbers_of(train), classes, fraction, seed)
    changed = int((labels != train.labels).sum())
    note = (
        f"label noise: {changed:,} of {len(train):,} training images have a wrong label on purpose "
        f"(data.label_noise={fraction:g}); validation and test images keep theirs."
    )
    return replace(
        splits,
        train=replace(train, labels=labels),
        true_labels=train.labels,
        notes=(*splits.notes, note),
    )


def noisy_labels(
    labels: Labels, numbers: Labels, classes: int, fraction: float, seed: int
) -> Labels:
    """Return labels of which round(fraction * N) are replaced by another class.

    Args:
        labels: (N,), in 0..classes-1.
        numbers: (N,), key of each image's noise.
        classes: K, at least 2.
        fraction: of the images.
        seed: of the noise.
    """
    noise = Noise.of(seed, torch.from_numpy(numbers), "label noise").uniform(2).numpy()
    chosen = np.lexsort((numbers, noise[:, 0]))[: round(fraction * len(labels))]
    steps = 1 + (noise[chosen, 1].astype(np.float64) * (classes - 1)).astype(np.int64)
    noisy = labels.copy()
    noisy[chosen] = (labels[chosen] + steps) % classes
    return noisy
