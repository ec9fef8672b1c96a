"""Expected robustness without a grid, and bounds on it from a grid.

A sample is right at a strength eps exactly where eps lies below its critical strength r, so under
a distribution with the cdf F it contributes P(strength < r) = F(r-), the limit from below. The
side matters at jumps: a point mass at eps_0 asks for r > eps_0, and a sample that is broken at
eps_0 itself counts as broken. For the uniform distribution on [0, E] the mean of F(r-) is
mean(min(r, E)) / E.

An attack finds adversarial images, hence distances d >= r: what is computed from d is an upper
bound of the true value, as every accuracy under attack is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats, check_critical, check_grid
from rampart.metrics.distributions import Distribution, check_extent
from rampart.metrics.expectation import contributions
from rampart.tolerance import below


@dataclass(frozen=True)
class Bounds:
    """What a record on a grid says of expected robustness on the continuum.

    Attributes:
        low: every sample breaks just above the last strength that failed to break it.
        value: accuracy is linear between strengths (the published trapezoid), except where an
            adversarial image that was found shows less.
        high: no sample breaks before the strength, or the distance, that was seen to break it.
    """

    low: float
    value: float
    high: float


def distance_contributions(
    distances: ArrayLike, eps: float, distribution: Distribution | None = None
) -> Floats:
    """Return what each sample contributes to expected robustness on the continuum, F(d-).

    Args:
        distances: (N,) distances of the smallest adversarial images found, in the norm of the
            strengths; 0 for a sample that is wrong without perturbation, nan or infinity for one
            for which none was found.
        eps: the largest strength E that was searched; a distance beyond it is a survivor's.
        distribution: of the strength; uniform on [0, E] by default.

    Returns:
        (N,) fractions in [0, 1]: 0 at distance 0, 1 for survivors.

    Raises:
        InvalidArgument: no sample, a negative distance, or a distribution that reaches beyond E.
    """
    radii = _check_distances(distances)
    law = check_extent(distribution, eps, "the largest strength that was searched")
    # Beyond law.upper F is 1 whatever the distance, so it needs no cut at E.
    values = law.below(np.where(np.isfinite(radii), radii, eps))
    return np.where((radii > eps) | np.isnan(radii), 1.0, np.where(radii > 0, values, 0.0))


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

    A sample with the critical index j has g_{j-1} < r <= g_j, and r <= d where the distance d of
    an adversarial image is known, so that F(g_{j-1}) <= F(r-) <= F(min(d, g_j)-). A sample that
    is wrong without perturbation contributes 0, a survivor 1. The lower end trusts the attack
    that failed at g_{j-1}; the upper end holds whatever the attack.

    Args:
        critical: (N,) critical indices in 0..n + 1.
        grid: (n + 1,) strengths from 0 up.
        distribution: of the strength; uniform on [0, eps_g] by default.
        distances: (N,) distances as in `distance_contributions`; nan where none is known.

    Raises:
        InvalidArgument: as `contributions`; or a distance below the cell that its index names.
    """
    strengths = check_grid(grid)
    indices = check_critical(critical, len(strengths) - 1)
    law = check_extent(distribution, float(strengths[-1]), "the last strength of the grid")
    # Index 0 and n + 1 have no cell; their ends are put right below.
    floor = strengths[np.clip(indices - 1, 0, len(strengths) - 1)]
    ceiling = strengths[np.clip(indices, 0, len(strengths) - 1)]
    inside = (indices > 0) & (indices < len(strengths))
    if distances is not None:
        radii = _check_distances(distances, len(indices))
        wrong = inside & below(radii, floor)
        if wrong.any():
            at = int(wrong.argmax())
            expected = f"more than {floor[at]:g}, which did not break sample {at}"
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


def _check_distances(distances: ArrayLike, count: int | None = None) -> Floats:
    radii = np.asarray(distances, dtype=np.float64)
    if radii.ndim != 1 or not len(radii) or count not in (None, len(radii)):
        expected = f"({count},)" if count else "(N,) with N >= 1"
        raise InvalidArgument("distances", f"shape {radii.shape}", expected)
    if (radii < 0).any():
        raise InvalidArgument("distances", radii.min(), "distances of at least 0, or nan")
    return radii
