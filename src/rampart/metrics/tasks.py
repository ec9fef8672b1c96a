"""Tests of two methods over several tasks, such as pairs of a backbone and a dataset."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rampart.metrics.curve import Floats
from rampart.metrics.intervals import (
    CONFIDENCE,
    Interval,
    PairedTest,
    check_confidence,
    paired_test,
)

#: Fewest pairs that a correlation or a test says something about.
LEAST_PAIRS = 3
_RESAMPLES = 9999


@dataclass(frozen=True)
class TaskTests:
    """Three views on the differences first - second, one per task.

    Attributes:
        student: the paired t-test.
        rank_sum: Wilcoxon's statistic: the smaller of the sums of ranks of positive and of negative
            differences.
        rank_p: its two-sided p-value.
        bootstrap: percentile interval of the mean difference, tasks drawn with replacement.
    """

    student: PairedTest
    rank_sum: float
    rank_p: float
    bootstrap: Interval


def compare_over_tasks(
    first: ArrayLike, second: ArrayLike, confidence: float = CONFIDENCE, seed: int = 0
) -> TaskTests:
    """Return the paired t-test, Wilcoxon's signed-rank test and a bootstrap of first - second.

    The t-test is that of the publication (arXiv 2509.23325, table 9). Wilcoxon's test (1945) does
    not assume normal differences; the bootstrap (Efron and Tibshirani 1993, chapter 13) treats the
    tasks as a sample of tasks.

    Args:
        first: (N,) numbers, one per task, N >= 2.
        second: (N,) numbers of the other method, in the same order.
        confidence: confidence of the intervals.
        seed: seed of the bootstrap.

    Raises:
        InvalidArgument: fewer than two pairs, or different lengths.
    """
    student = paired_test(first, second, confidence)
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    rank_sum, rank_p = _wilcoxon(differences)
    return TaskTests(student, rank_sum, rank_p, bootstrap_mean(differences, confidence, seed))


def bootstrap_mean(
    values: ArrayLike, confidence: float = CONFIDENCE, seed: int = 0, resamples: int = _RESAMPLES
) -> Interval:
    """Return the percentile bootstrap interval for the mean of (N,) numbers."""
    numbers = np.asarray(values, dtype=np.float64)
    tail = (1 - check_confidence(confidence)) / 2
    rng = np.random.default_rng((seed, len(numbers), resamples))
    means = numbers[rng.integers(len(numbers), size=(resamples, len(numbers)))].mean(axis=1)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high), confidence, "bootstrap")


def correlation(x: ArrayLike, y: ArrayLike) -> float | None:
    """Return Pearson's r; None below `LEAST_PAIRS` pairs, or if all values of one are equal."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(a) < LEAST_PAIRS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _wilcoxon(differences: Floats) -> tuple[float, float]:
    """Statistic and p-value; equal pairs are left out, and if all are equal p is 1."""
    if not differences.any():
        return 0.0, 1.0
    # It is slow to import, and reports must start at once.
    from scipy.stats import wilcoxon

    found = wilcoxon(differences)
    return float(found.statistic), float(found.pvalue)
