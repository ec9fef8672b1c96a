"""Intervals for one evaluation and over seeds, and the paired t-test."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats

CONFIDENCE = 0.95
#: Fewest seeds from which an interval is computed: with two, Student's interval is 18 times as wide
#: as their distance and says nothing.
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Interval:
    """A confidence interval: its ends, its confidence, and the method that computed it."""

    low: float
    high: float
    confidence: float = CONFIDENCE
    method: str = ""


@dataclass(frozen=True)
class PairedTest:
    """A paired t-test of first - second over `n` pairs.

    Attributes:
        n: number of pairs.
        difference: the mean difference.
        low: lower end of its confidence interval.
        high: upper end of its confidence interval.
        confidence: confidence of the interval.
        t: Student's statistic, infinite if all differences are equal and not 0.
        p: two-sided p-value.
    """

    n: int
    difference: float
    low: float
    high: float
    confidence: float
    t: float
    p: float


def proportion_interval(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval for a proportion (Wilson 1927).

    Raises:
        InvalidArgument: n below 1, or successes outside 0..n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise InvalidArgument("successes", f"{successes} of {n}", "0 <= successes <= n, n >= 1")
    return _wilson(successes / n, n, confidence)


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return the `score_interval` for the mean of values in [0, 1].

    Args:
        values: (N,) numbers in [0, 1], such as the contributions to expected robustness.
        confidence: confidence of the interval, such as 0.95.

    Raises:
        InvalidArgument: no values, or one outside [0, 1].
    """
    numbers = check_fractions(values)
    return score_interval(float(numbers.mean()), float(numbers.std()), len(numbers), confidence)


def score_interval(
    mean: float, deviation: float, n: int, confidence: float = CONFIDENCE
) -> Interval:
    """Return the score interval for the mean of n values in [0, 1] with this mean and deviation.

    It is Wilson's interval with an effective number of values, as for proportions in surveys (Korn
    and Graubard 1998; Franco et al. 2019, Journal of Survey Statistics and Methodology 7). Values
    in [0, 1] vary at most as much as zeros and ones with the same mean m. The ratio of the two
    variances increases their effective number,

        n_eff = n / ratio,  ratio = (n s^2 + 1/2) / (n m (1 - m) + 1/2).

    The terms 1/2 stand for one additional 0 and one additional 1. With them the ratio is 1, and
    the interval equals Wilson's, for zeros and ones, even if all values are 0 or all are 1.
    Student's interval would have no width then, and it covers too rarely if few samples are wrong.

    Args:
        mean: m, in [0, 1].
        deviation: s, the standard deviation with the divisor n.
        n: number of values.
        confidence: confidence of the interval, such as 0.95.

    Raises:
        InvalidArgument: no values, or a mean outside [0, 1].

    Example:
        >>> score_interval(0.5, 0.5, 4)  # two of four
        Interval(low=0.150..., high=0.849..., confidence=0.95, method='score')
    """
    if n < 1 or not 0 <= mean <= 1:
        raise InvalidArgument(
            "mean", f"{mean} of {counted(n, 'value')}", "a fraction in [0, 1] of n >= 1"
        )
    ratio = (n * deviation**2 + 0.5) / (n * mean * (1 - mean) + 0.5)
    interval = _wilson(mean, n / min(ratio, 1.0), confidence)
    return Interval(interval.low, interval.high, confidence, "score")


def seeds_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return Student's interval mean +- t * s / sqrt(N) for the results of N >= 2 seeds."""
    numbers = _numbers(values, least=2)
    margin = _margin(numbers, confidence)
    return Interval(
        float(numbers.mean() - margin), float(numbers.mean() + margin), confidence, "student"
    )


def spread_over_seeds(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return Student's interval for fractions over seeds, cut to [0, 1].

    Below `LEAST_SEEDS` values it is their range instead, with the method "range".

    Args:
        values: (N,) fractions in [0, 1], one per seed, N >= 1.
        confidence: confidence of the interval.

    Raises:
        InvalidArgument: no values, or one outside [0, 1].

    Example:
        >>> spread_over_seeds([0.25, 0.75])
        Interval(low=0.25, high=0.75, confidence=0.95, method='range')
    """
    numbers = check_fractions(values)
    if len(numbers) < LEAST_SEEDS:
        return Interval(float(numbers.min()), float(numbers.max()), confidence, "range")
    interval = seeds_interval(numbers, confidence)
    return Interval(max(0.0, interval.low), min(1.0, interval.high), confidence, "student")


def paired_test(first: ArrayLike, second: ArrayLike, confidence: float = CONFIDENCE) -> PairedTest:
    """Return the paired t-test of first - second.

    A pair belongs to one sample of two models (contributions to expected robustness, or 1 for a
    correct prediction and 0 for a wrong one), or to one seed or one task of two methods.

    Args:
        first: (N,) numbers, N >= 2.
        second: (N,) numbers, in the same order.
        confidence: confidence of the interval of the difference.

    Raises:
        InvalidArgument: fewer than two pairs, or different lengths.
    """
    a, b = _numbers(first, "first", least=2), _numbers(second, "second", least=2)
    if len(a) != len(b):
        raise InvalidArgument("second", counted(len(b), "value"), f"{len(a)}, as many as first")
    differences = a - b
    mean, margin = float(differences.mean()), _margin(differences, confidence)
    t = _ratio(mean, _standard_error(differences))
    # The survival function of Student's t; scipy.stats, which calls this too, is slow to import.
    p = float(2 * scipy.special.stdtr(len(a) - 1, -abs(t)))
    return PairedTest(len(a), mean, mean - margin, mean + margin, confidence, t, p)


def check_fractions(values: ArrayLike, name: str = "values") -> Floats:
    """Return (N,) floats, N >= 1; raise `InvalidArgument` unless all lie in [0, 1]."""
    numbers = _numbers(values, name)
    if numbers.min() < 0 or numbers.max() > 1:
        raise InvalidArgument(name, f"{numbers.min():g}..{numbers.max():g}", "fractions in [0, 1]")
    return numbers


def _wilson(fraction: float, n: float, confidence: float) -> Interval:
    z = float(scipy.special.ndtri((1 + check_confidence(confidence)) / 2))
    center = (fraction + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(fraction * (1 - fraction) / n + z * z / (4 * n * n))
    # At a fraction of 0 or 1 the end is exact; rounding would miss it by one ulp.
    low = 0.0 if fraction == 0 else max(0.0, float(center - half))
    high = 1.0 if fraction == 1 else min(1.0, float(center + half))
    return Interval(low, high, confidence, "wilson")


def _margin(values: Floats, confidence: float) -> float:
    """Half the width of Student's interval for the mean."""
    quantile = scipy.special.stdtrit(len(values) - 1, (1 + check_confidence(confidence)) / 2)
    return float(quantile * _standard_error(values))


def _standard_error(values: Floats) -> float:
    """s / sqrt(N); exactly 0 if all values are equal, despite the rounding of their mean."""
    if values.min() == values.max():
        return 0.0
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _ratio(mean: float, error: float) -> float:
    if error:
        return mean / error
    return float(np.copysign(np.inf, mean)) if mean else 0.0


def _numbers(values: ArrayLike, name: str = "values", least: int = 1) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) < least:
        raise InvalidArgument(name, f"shape {numbers.shape}", f"(N,) with N >= {least}")
    if not np.isfinite(numbers).all():
        raise InvalidArgument(name, "NaN or infinity", "finite numbers")
    return numbers


def check_confidence(confidence: float) -> float:
    """Return the confidence; raise `InvalidArgument` unless it lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise InvalidArgument(
            "confidence", confidence, "a fraction between 0 and 1", "write 0.95 for 95 %"
        )
    return confidence
