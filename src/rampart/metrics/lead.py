"""The difference of two models in expected robustness, for every curve between the strengths.

The grid tells each sample's critical strength up to a step, so a contribution to expected
robustness is known between two bounds (`continuum.bound_contributions`) only. Nothing ties the
curve of one model to that of the other. The difference therefore lies between

    mean(low of the first - high of the second)  and  mean(high of the first - low of the second).

The straight line between two strengths is one curve of many. So a sign is decided only if the
interval of the difference excludes 0 for every curve: also if the first model has its lowest curve
and the second its highest, or the reverse (as for other partly identified means; Horowitz and
Manski 2000, Journal of the American Statistical Association 95).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from typing import Literal, NamedTuple, Protocol

import numpy as np

from rampart.metrics.curve import Floats


class Bracket(NamedTuple):
    """Expected robustness or contributions to it: by straight lines, and the bounds.

    The arrays have one shape, such as (N,) for samples, (S,) for seeds or (S, N) for both.
    """

    low: Floats
    value: Floats
    high: Floats


class Ends(Protocol):
    """A confidence interval."""

    @property
    def low(self) -> float: ...  # noqa: D102  # see the class
    @property
    def high(self) -> float: ...  # noqa: D102  # see the class


@dataclass(frozen=True)
class Lead:
    """The difference first - second in expected robustness.

    Attributes:
        difference: by straight lines between the strengths.
        interval: low and high end of its confidence interval.
        bounds: the least and the greatest difference that curves between the strengths allow.
        widest: low and high end of the interval that holds for all of these curves.
    """

    difference: float
    interval: tuple[float, float]
    bounds: tuple[float, float]
    widest: tuple[float, float]

    @property
    def verdict(self) -> Literal["decided", "chance", "grid"]:
        """Whether the sign is decided, may be chance, or is undecided by the grid."""
        if self.interval[0] <= 0 <= self.interval[1]:
            return "chance"
        return "grid" if self.widest[0] <= 0 <= self.widest[1] else "decided"

    @property
    def beyond(self) -> bool:
        """Whether the bounds reach beyond the interval."""
        (low, high), (least, most) = self.interval, self.bounds
        return least < low or most > high

    @property
    def parts(self) -> int:
        """Into how many parts the steps of the grid must be divided to decide the sign; 1 if none.

        Division into m equal parts makes the bounds m times as narrow. The number is exact for the
        uniform distribution if difference and interval remain.
        """
        if self.verdict != "grid":
            return 1
        ahead = self.difference > 0
        nearest = self.interval[0] if ahead else -self.interval[1]
        reach = self.interval[0] - self.widest[0] if ahead else self.widest[1] - self.interval[1]
        return floor(reach / nearest) + 1


def lead_between(
    first: Bracket, second: Bracket, interval: Callable[[Floats, Floats], Ends]
) -> Lead:
    """Return the difference first - second with its interval and its bounds.

    Args:
        first: contributions of the first model, or its expected robustness for each seed.
        second: the same of the second model, for the same samples and seeds.
        interval: returns the confidence interval of the mean of first - second for two arrays, such
            as `paired_interval` for samples or `paired_test` for seeds.

    Example:
        >>> from rampart.metrics.pairs import paired_interval
        >>> robust, half = Bracket(*np.ones((3, 50))), Bracket(*np.full((3, 50), 0.5))
        >>> lead_between(robust, half, paired_interval).verdict
        'decided'
        >>> lead_between(robust, half._replace(high=np.ones(50)), paired_interval).verdict
        'grid'
    """
    middle = interval(first.value, second.value)
    least, most = interval(first.low, second.high), interval(first.high, second.low)
    return Lead(
        difference=float(np.mean(first.value - second.value)),
        interval=(middle.low, middle.high),
        bounds=(
            float(np.mean(first.low - second.high)),
            float(np.mean(first.high - second.low)),
        ),
        widest=(min(middle.low, least.low), max(middle.high, most.high)),
    )
