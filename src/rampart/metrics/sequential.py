"""An interval for a mean that is measured until the interval is narrow enough.

Values in [0, 1] arrive one after another. At the sizes 50, 55, 61, ..., each 1.1 times the one
before, the rule looks at the interval, and stops at the first size at which it reaches at most
`half_width` to each side. Such a rule prefers samples whose spread is small by chance, so that the
interval of a fixed size covers too rarely. Three changes of `intervals.score_interval` prevent it:

- Its error, 1 - confidence, is `SHARE` of the stated one at every look, so that the interval at the
  stop covers with the stated confidence (Frey 2010, "Fixed-width sequential confidence intervals
  for a proportion", The American Statistician 64; Chow and Robbins 1965 for means).
- Its spread contains one value 0 and one value 1 that were not seen, so that equal values do not
  look certain.
- The first look comes at `FIRST / half_width` values. A kind of value whose share is `half_width`
  is missing among so many with a probability of exp(-4), 1.8 %.

The share and the first look are chosen by simulation. `benchmarks/until.py` repeats it and compares
the rule with intervals that hold at all looks together, which need more values.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rampart.metrics.intervals import CONFIDENCE, Interval, check_fractions, score_interval

#: Share of the permitted error that the interval has at each look.
SHARE = 0.8
#: The smallest size of a look, and the factor between two sizes.
LEAST, GROWTH = 50, 1.1
#: The first look has this number, divided by the half-width, of values.
FIRST = 4.0


def sequential_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval for the mean of values in [0, 1] that were drawn by `Until`.

    Args:
        values: (N,) numbers in [0, 1], such as the contributions to expected robustness.
        confidence: confidence of the interval at the stop, such as 0.95.

    Raises:
        InvalidArgument: no values, or one outside [0, 1].
    """
    numbers = check_fractions(values)
    return _interval(float(numbers.mean()), float(numbers.var()), len(numbers), confidence)


@dataclass(frozen=True)
class Until:
    """A rule for when to stop measuring the mean of values in [0, 1].

    Attributes:
        half_width: the interval may reach this far to each side: half of its width, a fraction.
        confidence: confidence of the interval at the stop.

    Example:
        >>> rule = Until(0.05)
        >>> rule.sizes(120)
        [81, 89, 98, 108, 118, 120]
        >>> rule.stop([0.0, 1.0] * 300)
        448
    """

    half_width: float
    confidence: float = CONFIDENCE

    def sizes(self, available: int, at_least: int = 0) -> list[int]:
        """Return the sizes of the looks up to the number of values that exist, the last one.

        Args:
            available: number of values that can be drawn.
            at_least: smaller sizes are left out.
        """
        least, found, size = max(FIRST / self.half_width, at_least), [], float(LEAST)
        while math.ceil(size) < available:
            if math.ceil(size) >= least:
                found.append(math.ceil(size))
            size *= GROWTH
        return [*found, available]

    def is_reached(self, values: ArrayLike) -> bool:
        """Return whether the interval of these values is narrow enough."""
        interval = sequential_interval(values, self.confidence)
        return (interval.high - interval.low) / 2 <= self.half_width

    def stop(self, values: ArrayLike, at_least: int = 0) -> int | None:
        """Return the first size at which the rule stops; None if it needs more values.

        Args:
            values: (N,) numbers in [0, 1] in the order of the draw.
            at_least: looks at smaller sizes are left out.
        """
        numbers = check_fractions(values)
        # The last size of `sizes` is the number of values that exist, which ends no rule.
        looks = self.sizes(len(numbers) + 1, at_least)[:-1]
        return next((size for size in looks if self.is_reached(numbers[:size])), None)

    def next_size(self, values: ArrayLike, available: int) -> int:
        """Return how many values to draw before the next look, more than there are.

        Looks that will hardly stop are passed over: it takes the size at which the interval would
        be narrow enough if mean and spread stay, less two standard errors of that size. `stop`
        finds the first size all the same, so the choice changes no result.

        Args:
            values: (N,) numbers in [0, 1], N below `available`.
            available: number of values that can be drawn.
        """
        numbers = check_fractions(values)
        n, mean, variance = len(numbers), float(numbers.mean()), float(numbers.var())
        later = [size for size in self.sizes(available) if size > n]
        enough = next((s for s in later if self._is_enough(mean, variance, s)), later[-1])
        cautious = enough * (1 - 2 / math.sqrt(n))
        return max([later[0], *(size for size in later if size <= cautious)])

    def _is_enough(self, mean: float, variance: float, n: int) -> bool:
        interval = _interval(mean, variance, n, self.confidence)
        return (interval.high - interval.low) / 2 <= self.half_width


def _interval(mean: float, variance: float, n: int, confidence: float) -> Interval:
    unseen = mean**2 + (1 - mean) ** 2
    deviation = float(np.sqrt(variance + unseen / n))
    found = score_interval(mean, deviation, n, 1 - SHARE * (1 - confidence))
    return Interval(found.low, found.high, confidence, "sequential score")
