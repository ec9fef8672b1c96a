"""The number of samples that an evaluation needs for an interval of a given width.

The functions invert the intervals that evaluations report, `comparison.score_interval` and
`pairs.paired_interval`, so the answers are exact for small numbers too. They are roughly
(z s / half_width)^2 with the standard deviation s of one sample's value.
"""

from collections.abc import Callable

import numpy as np

from rampart.errors import InvalidArgument
from rampart.metrics.intervals import CONFIDENCE, score_interval


def samples_needed(
    half_width: float,
    mean: float = 0.5,
    deviation: float | None = None,
    confidence: float = CONFIDENCE,
) -> int:
    """Return the least number of samples whose interval is at most 2 half_width wide.

    For accuracy, give the expected accuracy as `mean`; one half is the worst case. For expected
    robustness, give mean and deviation of the contributions in a small evaluation, `c.mean()` and
    `c.std()`; the number for accuracy is an upper bound. With 100 samples the deviation is
    uncertain by about 7 %, and the answer by about 14 %.

    Args:
        half_width: half of the intended width, a fraction: 0.02 for 2 points up and down.
        mean: expected mean, in [0, 1].
        deviation: standard deviation of one sample's value; by default that of zeros and ones
            with this mean, which is the largest possible.
        confidence: confidence of the interval, such as 0.95.

    Raises:
        InvalidArgument: a width that is not positive, or a mean or deviation that is impossible
            for values in [0, 1].

    Example:
        >>> samples_needed(0.02)  # accuracy, nothing known
        2398
        >>> samples_needed(0.02, mean=0.9)
        868
    """
    if not 0 <= mean <= 1:
        raise InvalidArgument("mean", mean, "a fraction in [0, 1]")
    largest = float(np.sqrt(mean * (1 - mean)))
    spread = largest if deviation is None else deviation
    if not 0 <= spread <= largest + 1e-9:
        expected = f"0 to {largest:.4g}, the deviation of zeros and ones with the mean {mean:g}"
        raise InvalidArgument("deviation", spread, expected)
    return _least(lambda n: _half(mean, spread, n, confidence), half_width)


def pairs_needed(
    half_width: float, discordance: float, difference: float = 0.0, confidence: float = CONFIDENCE
) -> int:
    """Return the least number of common samples for the interval of two models' difference.

    Args:
        half_width: half of the intended width, a fraction.
        discordance: mean of (first - second)^2 over the samples: for accuracy the fraction of the
            samples that only one model classifies correctly; for contributions the value in a
            small evaluation. With accuracies a and b it is at most min(a + b, 2 - a - b).
        difference: expected difference; 0 is the worst case.
        confidence: confidence of the interval, such as 0.95.

    Raises:
        InvalidArgument: a width that is not positive, or a difference that is impossible with the
            discordance.

    Example:
        >>> pairs_needed(0.02, discordance=0.1)  # the models differ on a tenth of the samples
        978
    """
    if not 0 <= discordance <= 1 or difference**2 > discordance:
        expected = f"a fraction of at least {difference**2:g}, the squared difference"
        raise InvalidArgument("discordance", discordance, expected)
    spread = float(np.sqrt(discordance - difference**2)) / 2
    mean = (1 + difference) / 2
    return _least(lambda n: 2 * _half(mean, spread, n, confidence), half_width)


def _half(mean: float, deviation: float, n: int, confidence: float) -> float:
    interval = score_interval(mean, deviation, n, confidence)
    return (interval.high - interval.low) / 2


def _least(half: Callable[[int], float], wanted: float) -> int:
    """The least n with half(n) <= wanted, by bisection; half must fall with n."""
    if not wanted > 0:
        raise InvalidArgument("half_width", wanted, "a fraction above 0", "write 0.02 for 2 points")
    low, high = 0, 1
    while half(high) > wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half(middle) > wanted else (low, middle)
    return high
