"""Skill: accuracy beyond that of the best constant prediction."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rampart.errors import InvalidArgument


def chance_of(labels: Iterable[Any], top_k: int = 1) -> float:
    """Return the accuracy of the best constant prediction: the fraction of the commonest class.

    It is 1/K for K classes of the same size. It is also the accuracy of a collapsed model, which
    predicts one class for all images.

    Args:
        labels: (N,) whole numbers: a list, an array or a tensor. To judge a model in training, use
            the labels of the training split.
        top_k: number of classes that the prediction names; then it is the fraction of the k
            commonest ones.

    Raises:
        InvalidArgument: the list is empty.
    """
    counts = Counter(labels.tolist() if hasattr(labels, "tolist") else labels)
    if not counts:
        raise InvalidArgument("labels", "none", "at least one")
    return sum(count for _, count in counts.most_common(top_k)) / counts.total()


def clearly_above(accuracy: float, chance: float, samples: int) -> bool:
    """Return whether accuracy on `samples` is above chance by three standard errors of chance."""
    return accuracy > chance + 3 * (chance * (1 - chance) / samples) ** 0.5


def skill(accuracy: float, chance: float) -> float:
    """Return (accuracy - chance) / (1 - chance): 0 at chance, 1 for perfect, below 0 for worse.

    It is 0 if chance is 1, because there is nothing to learn.
    """
    return (accuracy - chance) / (1 - chance) if chance < 1 else 0.0
