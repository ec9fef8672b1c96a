"""Class by class: means with intervals, and the worst class without the winner's curse.

The class with the lowest accuracy found is partly the unluckiest one: of K equally good classes
the lowest lies below them all. Its own interval, made as if it had been chosen beforehand, holds
its true accuracy too rarely. Where all K intervals hold at once with probability `confidence`, that
of the class that was picked does so too; samples of different classes are independent, so Šidák's
(1967) confidence^(1/K) for each is exact (Bonferroni's 1 - (1 - confidence) / K is a little wider).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument
from rampart.metrics.comparison import (
    CONFIDENCE,
    Interval,
    check_confidence,
    check_fractions,
    mean_interval,
)
from rampart.metrics.curve import Floats, Integers


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """One entry per class that occurs, in ascending order of the label.

    Attributes:
        labels: (K,) classes.
        counts: (K,) samples of each.
        means: (K,) mean value of each.
        low: (K,) lower ends.
        high: (K,) upper ends.
        confidence: of each interval alone, or of all of them together.
        together: which of both.
    """

    labels: Integers
    counts: Integers
    means: Floats
    low: Floats
    high: Floats
    confidence: float
    together: bool

    @property
    def mean(self) -> float:
        """The mean over classes, each counting the same (balanced accuracy)."""
        return float(self.means.mean())


@dataclass(frozen=True)
class WorstClass:
    """The class with the lowest mean found, and what can be said of it.

    Attributes:
        label: the class; the lowest label where several share the lowest mean.
        count: its samples.
        mean: its mean. On average it lies below that of the truly worst class.
        own: interval for the true mean of this class that allows for its having been picked.
        lowest: interval for the lowest true mean, of whichever class it is.
    """

    label: int
    count: int
    mean: float
    own: Interval
    lowest: Interval


def class_means(
    values: ArrayLike, labels: ArrayLike, confidence: float = CONFIDENCE, together: bool = False
) -> ClassMeans:
    """Return the mean of each class, with `mean_interval`'s interval (Wilson's for 0 and 1).

    Args:
        values: (N,) numbers in [0, 1]: `critical > k` for accuracy at g_k, contributions for
            expected robustness.
        labels: (N,) true classes, integers.
        confidence: of the interval, such as 0.95.
        together: all intervals are to hold at once with `confidence`, not each alone (Šidák).

    Raises:
        InvalidArgument: no samples, a value outside [0, 1], or labels that do not fit.
    """
    fractions, names = check_fractions(values), np.asarray(labels)
    if names.shape != fractions.shape or not np.issubdtype(names.dtype, np.integer):
        got = f"{names.dtype} of shape {names.shape}"
        raise InvalidArgument("labels", got, f"({len(fractions)},) integers")
    classes, counts = np.unique(names, return_counts=True)
    each = check_confidence(confidence) ** (1 / len(classes)) if together else confidence
    groups = [fractions[names == label] for label in classes]
    intervals = [mean_interval(group, each) for group in groups]
    return ClassMeans(
        classes.astype(np.int64),
        counts.astype(np.int64),
        np.array([group.mean() for group in groups]),
        np.array([interval.low for interval in intervals]),
        np.array([interval.high for interval in intervals]),
        confidence,
        together,
    )


def worst_class(values: ArrayLike, labels: ArrayLike, confidence: float = CONFIDENCE) -> WorstClass:
    """Return the worst class; arguments as `class_means`.

    While all K intervals hold, the lowest true mean lies between the lowest lower end and the
    lowest upper end.

    Example:
        >>> worst_class([1, 1, 1, 0], [0, 0, 1, 1]).label
        1
    """
    table = class_means(values, labels, confidence, together=True)
    k = int(table.means.argmin())
    own = Interval(float(table.low[k]), float(table.high[k]), confidence, "sidak")
    lowest = Interval(float(table.low.min()), float(table.high.min()), confidence, "sidak")
    return WorstClass(
        int(table.labels[k]), int(table.counts[k]), float(table.means[k]), own, lowest
    )
