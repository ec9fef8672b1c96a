"""Whether the outputs of a model are in another order than the classes of the data.

Such a model is accurate, but for other classes: with another assignment of outputs to classes it is
several times as accurate. A weak model in the right order also has a best assignment, which only
fits chance. So the assignment is found on one half of the images and judged on the other half, and
it has to make the model accurate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rampart.metrics.curve import Integers

#: Smallest ratio of the accuracies with the other and with the given assignment, on the classes
#: whose output changes, and the smallest difference in standard deviations.
RATIO, DEVIATIONS = 3.0, 4.0
#: Skill from which a model with two classes is accurate. An untrained network often separates two
#: classes well, one way or the other way round.
ACCURATE_OF_TWO = 0.9

Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Predicted:
    """The predictions of a model without an attack.

    Attributes:
        labels: (N,) true classes.
        outputs: (N,) outputs with the largest logit; -1 where the logits are not all finite.
        class_names: of the K classes.
        extra_outputs: how many of the last outputs belong to no class of the data.
    """

    labels: Integers
    outputs: Integers
    class_names: Sequence[str]
    extra_outputs: int = 0

    def accuracy(self, order: Integers) -> float:
        """Return the accuracy if output `order[k]`, of (K,), is class k."""
        return float((self.outputs == order[self.labels]).mean())


@dataclass(frozen=True)
class Order:
    """An order of the outputs that fits the predictions.

    Attributes:
        outputs: (K,) the output for each class.
        accuracy: with these outputs.
        name: description in words.
    """

    outputs: Integers
    accuracy: float
    name: str


def suspected_order(predicted: Predicted) -> Order | None:
    """Return the order that the outputs surely have, if it is not that of the classes."""
    labels, classes = predicted.labels, len(predicted.class_names)
    if len(set(labels.tolist())) < 2:
        # Any order suits images of one class.
        return None
    first = _ranks_within_class(labels) % 2 == 0
    outputs = labels.copy()
    for half in (first, ~first):
        outputs[half] = _fit(predicted, ~half)[labels[half]]
    given, other = predicted.outputs == labels, predicted.outputs == outputs
    # Each class counts the same. Otherwise a constant prediction would fit the largest class best.
    weights = 1 / np.bincount(labels)[labels]
    moved = weights * (outputs != labels)
    differences = moved * (other.astype(float) - given)
    sure = differences.sum() > DEVIATIONS * np.sqrt((differences**2).sum())
    larger = (moved * other).sum() >= RATIO * (moved * given).sum()
    accurate = (weights * other).sum() / weights.sum() >= _accurate(classes)
    return _describe(predicted) if sure and larger and accurate else None


def _accurate(classes: int) -> float:
    """Return the accuracy from which a model has learned its classes: a skill of 1 / sqrt(K).

    The best assignment for an untrained network stays below it (measured on digits, 3 to 10 classes
    of them: one network in 900 exceeds it).
    """
    skill = ACCURATE_OF_TWO if classes == 2 else classes**-0.5
    return 1 / classes + (1 - 1 / classes) * skill


def _fit(predicted: Predicted, part: Booleans) -> Integers:
    """Return the output for each class, (K,), with the highest balanced accuracy on these images.

    Where the predictions do not tell, output k is class k.
    """
    classes = len(predicted.class_names)
    counts = np.zeros((classes, classes))
    # Logits that are not finite predict no class, -1.
    part = part & (predicted.outputs >= 0)
    np.add.at(counts, (predicted.labels[part], predicted.outputs[part]), 1)
    recalls = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    _, outputs = linear_sum_assignment(recalls + 1e-6 * np.eye(classes), maximize=True)
    return outputs.astype(np.int64)


def _describe(predicted: Predicted) -> Order:
    """Return the best order; it has a usual name if an order with a name fits nearly as well."""
    names = predicted.class_names
    best = _fit(predicted, np.ones(len(predicted.labels), bool))
    accuracy = predicted.accuracy(best)
    usual = {name: predicted.accuracy(order) for name, order in _usual_orders(names).items()}
    likely = max(usual, key=usual.__getitem__)
    if usual[likely] >= 0.9 * accuracy:
        return Order(_usual_orders(names)[likely], usual[likely], likely)
    moved = [f"output {o} is '{names[k]}'" for k, o in enumerate(best.tolist()) if o != k]
    return Order(best, accuracy, ", ".join(moved[:3]) + (", ..." if len(moved) > 3 else ""))


def _usual_orders(names: Sequence[str]) -> Mapping[str, Integers]:
    """Return for each usual mistake the output for each class, (K,)."""
    own = np.arange(len(names))
    orders = {
        "the outputs are shifted by one, class k is output k + 1": np.roll(own, -1),
        "the outputs are shifted by one, class k is output k - 1": np.roll(own, 1),
        "the outputs are in the reverse order": own[::-1].copy(),
        "the outputs are in the order of the names sorted as text": _ranks(names),
        "the outputs are in the order of the names sorted without case": _ranks(
            [name.casefold() for name in names]
        ),
    }
    if all(name.isdecimal() for name in names):
        numbers = [f"{int(name):020d}" for name in names]
        orders["the outputs are in the order of the names as numbers"] = _ranks(numbers)
    return orders


def _ranks(names: Sequence[str]) -> Integers:
    """Return the position of each name among the sorted names; equal names keep their order."""
    order = sorted(range(len(names)), key=names.__getitem__)
    return np.argsort(np.array(order)).astype(np.int64)


def _ranks_within_class(labels: Integers) -> Integers:
    """Return how many images of the same class stand before each image."""
    order, counts = np.argsort(labels, kind="stable"), np.bincount(labels)
    ranks = np.empty(len(labels), np.int64)
    ranks[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks
