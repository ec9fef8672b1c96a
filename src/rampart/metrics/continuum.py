"""Expected robustness without a grid, and bounds on it from a grid.

A sample is robust at a strength eps if and only if eps lies below its critical strength r. Under a
distribution with the cdf F it therefore contributes P(strength < r) = F(r-), the limit from below.
The side matters at jumps: under a point mass at eps_0, a sample with r = eps_0 is misclassified.
For the uniform distribution on [0, E] the mean of F(r-) is mean(min(r, E)) / E.

An attack finds adversarial examples at distances d >= r. A value computed from d is therefore an
upper bound of the true value, like every accuracy under attack.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats, check_critical, check_grid
from rampart.metrics.distributions import Distribution, check_extent
from rampart.metrics.expectation import contributions
from rampart.metrics.lead import Bracket
from rampart.tolerance import below


@dataclass(frozen=True)
class Bounds:
    """Expected robustness on the continuum, as far as a record on a grid determines it.

    Attributes:
        low: every critical strength lies just above the last strength at which the sample is
            robust.
        value: accuracy is linear between strengths (the published trapezoid), except where the
            distance of an adversarial example shows less.
        high: every critical strength equals the grid strength, or the distance, at which an
            adversarial example was found.
    """

    low: float
    value: float
    high: float


def distance_contributions(
    distances: ArrayLike, eps: float, distribution: Distribution | None = None
) -> Floats:
    """Return the contribution F(d-) of each sample to expected robustness on the continuum.

    Args:
        distances: (N,) distances of the nearest adversarial examples, in the norm of the
            strengths; 0 for a sample that is misclassified without perturbation, infinity for one
            without an adversarial example.
        eps: the largest strength E that was attacked; a sample with a larger distance is robust.
        distribution: distribution of the strength; uniform on [0, E] by default.

    Returns:
        (N,) fractions in [0, 1]: 0 at distance 0, 1 for robust samples.

    Raises:
        InvalidArgument: no sample, a distance that is negative or nan, or a distribution that
            extends beyond E.
    """
    radii = _check_distances(distances)
    if np.isnan(radii).any():
        do = "write infinity for a sample without an adversarial example, or use bounds() of a grid"
        raise InvalidArgument("distances", "nan", "a number for each sample", do)
    law = check_extent(distribution, eps, "the largest strength that was attacked")
    # F is 1 beyond law.upper, so distances need no cut at E.
    values = law.below(np.where(np.isfinite(radii), radii, eps))
    return np.where(radii > eps, 1.0, np.where(radii > 0, values, 0.0))


def continuum_robustness(
    distances: ArrayLike, eps: float, distribution: Distribution | None = None
) -> float:
    """Return expected robustness on the continuum; arguments as `distance_contributions`.

    Example:
        >>> continuum_robustness([0.0, 0.01, float("inf")], eps=0.02)  # 0, 1/2 and 1
        0.5
    """
    return float(distance_contributions(distances, eps, distribution).mean())


def bound_contributions(
    critical: ArrayLike,
    grid: ArrayLike,
    distribution: Distribution | None = None,
    distances: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Return the (N,) least and the (N,) largest contributions that a record allows.

    A sample with the critical index j has g_{j-1} < r <= g_j, and r <= d if the distance d of an
    adversarial example is known, so that F(g_{j-1}) <= F(r-) <= F(min(d, g_j)-). A sample that is
    misclassified without perturbation contributes 0, a sample that is robust at every strength 1.
    The lower end assumes that the attack at g_{j-1} missed nothing; the upper end is always valid.

    Args:
        critical: (N,) critical indices in 0..n + 1.
        grid: (n + 1,) strengths from 0 up.
        distribution: distribution of the strength; uniform on [0, eps_g] by default.
        distances: (N,) distances as in `distance_contributions`; nan if not known.

    Raises:
        InvalidArgument: as `contributions`; or a distance below the grid cell of its index.
    """
    strengths = check_grid(grid)
    indices = check_critical(critical, len(strengths) - 1)
    law = check_extent(distribution, float(strengths[-1]), "the last strength of the grid")
    # Indices 0 and n + 1 have no cell; `edge` replaces their ends below.
    floor = strengths[np.clip(indices - 1, 0, len(strengths) - 1)]
    ceiling = strengths[np.clip(indices, 0, len(strengths) - 1)]
    inside = (indices > 0) & (indices < len(strengths))
    if distances is not None:
        radii = _check_distances(distances, len(indices))
        wrong = inside & below(radii, floor)
        if wrong.any():
            at = int(wrong.argmax())
            expected = f"more than {floor[at]:g}, at which sample {at} is robust"
            raise InvalidArgument("distances", radii[at], expected)
        ceiling = np.fmin(radii, ceiling)
    edge = (indices >= len(strengths)).astype(np.float64)
    low = np.where(inside, law.cdf(floor), edge)
    high = np.where(inside, law.below(ceiling), edge)
    return low, np.maximum(low, high)


def bounds(
    critical: ArrayLike,
    grid: ArrayLike,
    distribution: Distribution | None = None,
    distances: ArrayLike | None = None,
) -> Bounds:
    """Return lower bound, value and upper bound; arguments as `bound_contributions`.

    Example:
        >>> bounds([0, 1, 3], [0.0, 0.25, 0.5])  # contributions 0, 0 to 1/2, and 1
        Bounds(low=0.3333333333333333, value=0.4166666666666667, high=0.5)
    """
    low, high = bound_contributions(critical, grid, distribution, distances)
    value = np.clip(contributions(critical, grid, distribution), low, high)
    return Bounds(float(low.mean()), float(value.mean()), float(high.mean()))


def bracket(
    critical: ArrayLike,
    grid: ArrayLike,
    distribution: Distribution | None = None,
    distances: ArrayLike | None = None,
) -> Bracket:
    """Return (N,) contributions with straight lines and their bounds, for `lead_between`.

    The arguments are those of `bound_contributions`. Known distances tighten the bounds only.
    """
    low, high = bound_contributions(critical, grid, distribution, distances)
    return Bracket(low, contributions(critical, grid, distribution), high)


def _check_distances(distances: ArrayLike, count: int | None = None) -> Floats:
    radii = np.asarray(distances, dtype=np.float64)
    if radii.ndim != 1 or not len(radii) or count not in (None, len(radii)):
        expected = f"({count},)" if count else "(N,) with N >= 1"
        raise InvalidArgument("distances", f"shape {radii.shape}", expected)
    if (radii < 0).any():
        raise InvalidArgument("distances", radii.min(), "distances of at least 0, or nan")
    return radii
