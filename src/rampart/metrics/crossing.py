"""Crossings of two accuracy curves, and disagreement between the figures computed from them.

Expected robustness weights weak perturbations as much as strong ones, so a lead in clean accuracy
can outweigh a loss at the target strength. Accuracy at the target strength ignores weaker
perturbations. If the two figures rank models in opposite order, the curves cross, and the better
model depends on the strengths that are to be expected.

Curves are linear between the strengths of the grid, as in `expectation`. A straight line cannot
tell where two curves cross between two strengths. So a crossing is a range, and a choice rests on
bounds: between strengths accuracy never rises, which bounds the mean accuracy of both models
(`continuum`).
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument
from rampart.metrics.continuum import bounds, bracket
from rampart.metrics.curve import Floats, Integers, accuracy_curve, check_critical, check_grid
from rampart.metrics.distributions import Distribution, Uniform, check_extent
from rampart.metrics.intervals import CONFIDENCE, Interval
from rampart.metrics.lead import Lead, lead_between
from rampart.metrics.pairs import paired_interval


@dataclass(frozen=True)
class Stretch:
    """A range of strengths over which the same of two models is ahead.

    Attributes:
        low: the smallest strength.
        high: the largest strength.
        ahead: the model that is ahead: 1 the first, -1 the second, 0 neither.
    """

    low: float
    high: float
    ahead: int


@dataclass(frozen=True)
class Disagreement:
    """Two models on the same samples, by expected robustness and by accuracy at eps_g.

    Attributes:
        eps: the last strength of the grid, eps_g.
        clean: accuracy of both models without perturbation.
        expected: expected robustness of both models.
        worst: accuracy of both models at eps_g.
        expected_difference: interval of first - second in expected robustness.
        lead: the same difference with bounds that hold for any curve between the strengths.
        worst_difference: interval of first - second in accuracy at eps_g.
        stretches: the model that is ahead on each range of strengths, from 0 to eps_g.
        leads: the contribution of each stretch to the difference in expected robustness; the sum
            is the difference.
        halves: for both models the strength below which half of their expected robustness arises.
        crossings: the ranges in which the lead changes: the last strength of the grid at which one
            model leads, and the first one at which the other does.
        decided: with one crossing, the largest strength up to which the bounds decide for the model
            that leads without perturbation, and the smallest from which they decide for the other;
            None otherwise.
    """

    eps: float
    clean: tuple[float, float]
    expected: tuple[float, float]
    worst: tuple[float, float]
    expected_difference: Interval
    lead: Lead
    worst_difference: Interval
    stretches: tuple[Stretch, ...]
    leads: tuple[float, ...]
    halves: tuple[float, float]
    crossings: tuple[tuple[float, float], ...]
    decided: tuple[float, float] | None

    @property
    def leaders(self) -> tuple[int, int]:
        """The leader in expected robustness and at eps_g: 1 first, -1 second, 0 neither model."""
        return _sign(*self.expected), _sign(*self.worst)

    @property
    def doubtful(self) -> tuple[bool, bool]:
        """Whether the interval of the difference contains 0, for the same two figures."""
        first, second = self.expected_difference, self.worst_difference
        return first.low <= 0 <= first.high, second.low <= 0 <= second.high

    @property
    def opposite(self) -> bool:
        """Whether the two figures rank the models in opposite order."""
        return self.leaders[0] * self.leaders[1] < 0

    @property
    def certain(self) -> bool:
        """Whether neither interval of a difference contains 0."""
        return not any(self.doubtful)


def stretches(first: ArrayLike, second: ArrayLike, grid: ArrayLike) -> tuple[Stretch, ...]:
    """Return the leading model on each range of strengths; exact for piecewise linear curves.

    Args:
        first: (n + 1,) accuracies of the first model on the grid.
        second: (n + 1,) accuracies of the second model.
        grid: (n + 1,) strengths from 0 up.

    Raises:
        InvalidArgument: curves that do not fit the grid.

    Example:
        >>> stretches([0.75, 0.25], [0.5, 0.5], [0.0, 1.0])
        (Stretch(low=0.0, high=0.5, ahead=1), Stretch(low=0.5, high=1.0, ahead=-1))
    """
    strengths = check_grid(grid)
    lead = _check_curve("first", first, strengths) - _check_curve("second", second, strengths)
    nodes, values = _with_zeros(strengths, lead)
    if len(nodes) == 1:
        return (Stretch(0.0, 0.0, int(np.sign(values[0]))),)
    # Between neighboring nodes the lead has one sign, that of its mean.
    signs = np.sign(values[1:] + values[:-1]).astype(int)
    starts = np.flatnonzero(np.diff(signs, prepend=2))
    ends = [*starts[1:], len(signs)]
    return tuple(
        Stretch(float(nodes[start]), float(nodes[end]), int(signs[start]))
        for start, end in zip(starts, ends, strict=True)
    )


def crossings(
    first: ArrayLike, second: ArrayLike, grid: ArrayLike
) -> tuple[tuple[float, float], ...]:
    """Return the ranges in which the lead changes to the other model; arguments as `stretches`.

    A range goes from the last strength of the grid at which one model leads to the first one at
    which the other does. Curves that touch without crossing have none.

    Example:
        >>> crossings([0.75, 0.5, 0.25], [0.5, 0.5, 0.5], [0.0, 0.5, 1.0])
        ((0.0, 1.0),)
    """
    strengths = check_grid(grid)
    lead = _check_curve("first", first, strengths) - _check_curve("second", second, strengths)
    leading = [k for k, value in enumerate(lead) if _sign(value, 0.0)]
    return tuple(
        (float(strengths[i]), float(strengths[j]))
        for i, j in pairwise(leading)
        if lead[i] * lead[j] < 0
    )


def expected_below(
    curve: ArrayLike, grid: ArrayLike, eps: float, distribution: Distribution | None = None
) -> float:
    """Return the part of expected robustness that arises at strengths up to `eps`.

    This is the integral of accuracy dF over [0, eps]. By parts it is Acc(eps) F(eps) plus, for each
    cell below eps, the fall of accuracy in the cell times the mean of F over the cell.

    Args:
        curve: (n + 1,) accuracies on the grid.
        grid: (n + 1,) strengths from 0 up.
        eps: a strength in [0, eps_g]; at eps_g the result is expected robustness.
        distribution: distribution of the strength; uniform on [0, eps_g] by default.

    Raises:
        InvalidArgument: a curve that does not fit the grid, or a strength outside it.
    """
    strengths = check_grid(grid)
    accuracy = _check_curve("curve", curve, strengths)
    if not 0 <= eps <= strengths[-1]:
        raise InvalidArgument("eps", eps, f"a strength in [0, {strengths[-1]:g}]")
    law = check_extent(distribution, float(strengths[-1]), "the last strength of the grid")
    nodes = np.append(strengths[strengths < eps], eps)
    values = np.interp(nodes, strengths, accuracy)
    return float(values[-1] * law.cdf(nodes)[-1] - np.diff(values) @ law.cell_means(nodes))


def disagreement(
    first: ArrayLike,
    second: ArrayLike,
    grid: ArrayLike,
    distribution: Distribution | None = None,
    confidence: float = CONFIDENCE,
    distances: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
) -> Disagreement:
    """Return how two models compare by expected robustness, at eps_g, and in between.

    Args:
        first: (N,) critical indices in 0..n + 1.
        second: (N,) critical indices of the other model, for the same samples in the same order.
        grid: (n + 1,) strengths from 0 up.
        distribution: distribution of the strength; uniform on [0, eps_g] by default.
        confidence: confidence of the intervals.
        distances: (N,) distances of the adversarial examples of both models, where known; they
            tighten the bounds of `lead` (`continuum.bound_contributions`).

    Raises:
        InvalidArgument: different lengths, indices outside the grid, or a distribution that extends
            beyond it.
    """
    strengths = check_grid(grid)
    n = len(strengths) - 1
    both = [check_critical(critical, n) for critical in (first, second)]
    brackets = [
        bracket(critical, strengths, distribution, radii)
        for critical, radii in zip(both, distances, strict=True)
    ]
    c = [one.value for one in brackets]
    curves = [accuracy_curve(critical, n) for critical in both]
    parts = stretches(curves[0], curves[1], strengths)
    changes = crossings(curves[0], curves[1], strengths)
    return Disagreement(
        eps=float(strengths[-1]),
        clean=_pair([curve[0] for curve in curves]),
        expected=_pair([values.mean() for values in c]),
        worst=_pair([curve[-1] for curve in curves]),
        expected_difference=paired_interval(c[0], c[1], confidence),
        lead=lead_between(
            brackets[0], brackets[1], partial(paired_interval, confidence=confidence)
        ),
        worst_difference=paired_interval(both[0] > n, both[1] > n, confidence),
        stretches=parts,
        leads=_leads(parts, curves, strengths, distribution),
        halves=_pair([_half(curve, strengths, distribution) for curve in curves]),
        crossings=changes,
        decided=_decided(both, curves, strengths, changes[0]) if len(changes) == 1 else None,
    )


def _leads(
    parts: tuple[Stretch, ...],
    curves: list[Floats],
    grid: Floats,
    distribution: Distribution | None,
) -> tuple[float, ...]:
    """The contribution of each stretch to first - second in expected robustness."""
    lead = curves[0] - curves[1]
    sums = [expected_below(lead, grid, part.high, distribution) for part in parts]
    return tuple(np.diff(sums, prepend=0.0).tolist())


def _half(curve: Floats, grid: Floats, distribution: Distribution | None) -> float:
    """The least strength below which half of expected robustness arises, by bisection."""
    low, high = 0.0, float(grid[-1])
    half = expected_below(curve, grid, high, distribution) / 2
    if expected_below(curve, grid, low, distribution) >= half:
        return low
    for _ in range(40):
        middle = (low + high) / 2
        below = expected_below(curve, grid, middle, distribution) < half
        low, high = (middle, high) if below else (low, middle)
    return high


def _with_zeros(grid: Floats, lead: Floats) -> tuple[Floats, Floats]:
    """Grid and values, with the zeros between the strengths inserted."""
    cells = np.flatnonzero(lead[:-1] * lead[1:] < 0)
    fraction = lead[cells] / (lead[cells] - lead[cells + 1])
    zeros = grid[cells] + fraction * (grid[cells + 1] - grid[cells])
    return np.insert(grid, cells + 1, zeros), np.insert(lead, cells + 1, 0.0)


def _decided(
    critical: list[Integers], curves: list[Floats], grid: Floats, change: tuple[float, float]
) -> tuple[float, float]:
    """The strengths up to which, and from which, bounds decide; see `Disagreement.decided`.

    At its two ends the grid has measured accuracies, which need no bounds.
    """
    last, next_ = (int(np.flatnonzero(grid == eps)[0]) for eps in change)
    near, far = critical if curves[0][last] > curves[1][last] else critical[::-1]
    below = (k for k in range(last, 0, -1) if _leads_surely(near, far, grid, 0, k))
    above = (k for k in range(next_, len(grid) - 1) if _leads_surely(far, near, grid, k, -1))
    return float(grid[next(below, 0)]), float(grid[next(above, -1)])


def _leads_surely(ours: Integers, theirs: Integers, grid: Floats, low: int, high: int) -> bool:
    """Whether our mean accuracy over this part of the grid is higher for all curves."""
    law = Uniform(float(grid[low]), float(grid[high]))
    least, largest = bounds(ours, grid, law).low, bounds(theirs, grid, law).high
    return _sign(least, largest) > 0


def _check_curve(name: str, curve: ArrayLike, grid: Floats) -> Floats:
    values = np.asarray(curve, dtype=np.float64)
    if values.shape != grid.shape or not np.isfinite(values).all():
        raise InvalidArgument(name, f"shape {values.shape}", f"{grid.shape} finite accuracies")
    return values


def _pair(values: list[float]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _sign(first: float, second: float) -> int:
    """The sign of first - second; 0 for a difference that rounding may cause."""
    return 0 if abs(first - second) < 1e-12 else 1 if first > second else -1
