"""How many samples an evaluation needs for an interval of a wanted width.

The answers invert the intervals that evaluations report, `comparison.score_interval` and
`pairs.paired_interval`, so they hold for those and not only for large numbers; roughly they are
(z s / half_width)^2 with the standard deviation s of one sample's value.
"""

from collections.abc import Callable

import numpy as np

from rampart.errors import InvalidArgument
from rampart.metrics.comparison import CONFIDENCE, score_interval


def samples_needed(
    half_width: float,
    mean: float = 0.5,
    deviation: float | None = None,
    confidence: float = CONFIDENCE,
) -> int:
    """Return the least number of samples whose interval is at most 2 half_width wide.

    For accuracy give at most its expected value: one half is the worst case. For expected
    robustness give mean and deviation of the contributions of a pilot, `c.mean()` and `c.std()`;
    accuracy's need is an upper bound. A pilot's deviation is itself uncertain: with 100 samples
    by about 7 %, the answer then by about 14 %.

    Args:
        half_width: half the width wanted, as a fraction: 0.02 for 2 points up and down.
        mean: the mean expected, in [0, 1].
        deviation: standard deviation of one sample's value; by default that of zeros and ones
            with this mean, the largest there is.
        confidence: of the interval, such as 0.95.

    Raises:
        InvalidArgument: a width that is not positive, or a mean or deviation that no values in
            [0, 1] have.

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
        expected = f"at most {largest:.4g}, that of zeros and ones with the mean {mean:g}"
        raise InvalidArgument("deviation", spread, expected)
    return _least(lambda n: _half(mean, spread, n, confidence), half_width)


def pairs_needed(
    half_width: float, discordance: float, difference: float = 0.0, confidence: float = CONFIDENCE
) -> int:
    """Return the least number of shared samples for the interval of two models' difference.

    Args:
        half_width: half the width wanted, as a fraction.
        discordance: mean of (first - second)^2 over the samples: for accuracy the fraction of the
            samples on which one model alone is right, for contributions that of a pilot. Without
            any idea: accuracies a and b allow for at most min(a + b, 2 - a - b).
        difference: the difference expected; 0 is the worst case.
        confidence: of the interval, such as 0.95.

    Raises:
        InvalidArgument: a width that is not positive, or a difference that the discordance
            excludes.

    Example:
        >>> pairs_needed(0.02, discordance=0.1)  # a tenth of the samples tells the two apart
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
    """The least n with half(n) <= wanted, for a half width that falls with n; by bisection."""
    if not wanted > 0:
        raise InvalidArgument("half_width", wanted, "a share above 0", "write 0.02 for 2 points")
    low, high = 0, 1
    while half(high) > wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half(middle) > wanted else (low, middle)
    return high
