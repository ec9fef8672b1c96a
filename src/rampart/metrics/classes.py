"""Means with intervals for each class, and the worst class without the winner's curse.

The class with the lowest measured accuracy is partly the unluckiest one: among K equally good
classes, the lowest measured accuracy lies below the true one. An interval that ignores this
selection covers the true accuracy too rarely. If all K intervals cover at once with probability
`confidence`, the interval of the selected class does too. Samples of different classes are
independent, so Šidák's (1967) confidence^(1/K) for each class is exact (Bonferroni's
1 - (1 - confidence) / K is a little wider).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats, Integers
from rampart.metrics.intervals import (
    CONFIDENCE,
    Interval,
    check_confidence,
    check_fractions,
    mean_interval,
)


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """One entry per class that occurs, in ascending order of the label.

    Attributes:
        labels: (K,) classes.
        counts: (K,) number of samples of each class.
        means: (K,) mean value of each class.
        low: (K,) lower ends of the intervals.
        high: (K,) upper ends of the intervals.
        confidence: confidence of the intervals.
        together: whether all intervals cover at once with this confidence, or each alone.
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
        """The unweighted mean over the classes (balanced accuracy)."""
        return float(self.means.mean())


@dataclass(frozen=True)
class WorstClass:
    """The class with the lowest measured mean.

    Attributes:
        label: the class; the lowest label if several classes have the lowest mean.
        count: number of samples of the class.
        mean: mean of the class. On average it lies below the mean of the truly worst class.
        own: interval for the true mean of this class that allows for its selection.
        lowest: interval for the lowest true mean of all classes.
        ties: number of classes with the lowest measured mean, this one among them.
        classes: number of classes.
    """

    label: int
    count: int
    mean: float
    own: Interval
    lowest: Interval
    ties: int
    classes: int


def class_means(
    values: ArrayLike, labels: ArrayLike, confidence: float = CONFIDENCE, together: bool = False
) -> ClassMeans:
    """Return the mean of each class with its `mean_interval` (Wilson's for zeros and ones).

    Args:
        values: (N,) numbers in [0, 1]: `critical > k` for accuracy at g_k, contributions for
            expected robustness.
        labels: (N,) true classes, integers.
        confidence: confidence of the intervals, such as 0.95.
        together: all intervals cover at once with `confidence`, instead of each alone (Šidák).

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

    If all K intervals cover, the lowest true mean lies between the lowest lower end and the lowest
    upper end.

    Example:
        >>> worst_class([1, 1, 1, 0], [0, 0, 1, 1]).label
        1
    """
    table = class_means(values, labels, confidence, together=True)
    k = int(table.means.argmin())
    own = Interval(float(table.low[k]), float(table.high[k]), confidence, "sidak")
    lowest = Interval(float(table.low.min()), float(table.high.min()), confidence, "sidak")
    # Sums of the same numbers in another order round differently.
    ties = int(np.isclose(table.means, table.means[k], rtol=0, atol=1e-12).sum())
    return WorstClass(
        int(table.labels[k]),
        int(table.counts[k]),
        float(table.means[k]),
        own,
        lowest,
        ties,
        len(table.labels),
    )
