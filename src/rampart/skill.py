"""Accuracy beyond chance: what a model has learned that a constant answer has not."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rampart.errors import InvalidArgument


def chance_of(labels: Iterable[Any]) -> float:
    """Return the accuracy of the best constant answer: the fraction of the commonest class.

    It is 1/K for K classes of the same size, and the accuracy of a collapsed model, which gives one
    answer to all.

    Args:
        labels: (N,) whole numbers: a list, an array or a tensor. Those of the training split, where
            it is asked what a model in training has learned.

    Raises:
        InvalidArgument: there are none.
    """
    counts = Counter(labels.tolist() if hasattr(labels, "tolist") else labels)
    if not counts:
        raise InvalidArgument("labels", "none", "at least one")
    return max(counts.values()) / counts.total()


def clearly_above(accuracy: float, chance: float, samples: int) -> bool:
    """Whether an accuracy on so many samples is above chance by three standard errors of chance."""
    return accuracy > chance + 3 * (chance * (1 - chance) / samples) ** 0.5


def skill(accuracy: float, chance: float) -> float:
    """Return (accuracy - chance) / (1 - chance): 0 at chance, 1 for perfect, below 0 for worse.

    It is 0 where chance is 1, for there is then nothing to learn.
    """
    return (accuracy - chance) / (1 - chance) if chance < 1 else 0.0
