"""Expected robustness: the mean accuracy over a distribution of strengths.

Accuracy is known on the grid and linear in between. Under a distribution with the cdf F, a sample
with the critical index j therefore contributes

    c = 0 for j = 0;  1 / (g_j - g_{j-1}) * integral of F from g_{j-1} to g_j;  1 for j = n + 1,

for 0 < j <= n the mean of F over the cell that ends at g_j, and expected robustness is mean(c), by
integration by parts. For the uniform distribution on a uniform grid this is c = (j - 1/2) / n, the
trapezoidal rule (Ngnawé et al., ICLR 2026, arXiv 2509.23325, eq. for E_{eps ~ U[0, eps_g]}
Acc_eps).
"""

import numpy as np
from numpy.typing import ArrayLike

from rampart.metrics.curve import Floats, check_critical, check_grid
from rampart.metrics.distributions import (
    Beta,
    Distribution,
    FromCdf,
    Mixture,
    Piecewise,
    PointMass,
    Uniform,
    check_extent,
    default_distribution,
)

__all__ = [
    "Beta",
    "Distribution",
    "FromCdf",
    "Mixture",
    "Piecewise",
    "PointMass",
    "Uniform",
    "contributions",
    "default_distribution",
    "expected_robustness",
    "published_robustness",
]


def contributions(
    critical: ArrayLike, grid: ArrayLike, distribution: Distribution | None = None
) -> Floats:
    """Return the contribution of each sample to expected robustness.

    Args:
        critical: (N,) critical indices in 0..n + 1.
        grid: (n + 1,) strengths from 0 up.
        distribution: distribution of the strength; uniform on [0, eps_g] by default.

    Returns:
        (N,) fractions c_i in [0, 1] whose mean is the expected robustness.

    Raises:
        InvalidArgument: an index outside the grid, or a distribution that extends beyond it.
    """
    strengths = check_grid(grid)
    indices = check_critical(critical, len(strengths) - 1)
    law = check_extent(distribution, float(strengths[-1]), "the last strength of the grid")
    # By rounding, the mean of a cdf may exceed 1.
    means = np.clip(law.cell_means(strengths), 0.0, 1.0)
    return np.concatenate([[0.0], means, [1.0]])[indices]


def expected_robustness(
    critical: ArrayLike, grid: ArrayLike, distribution: Distribution | None = None
) -> float:
    """Return the mean accuracy over a distribution of strengths; arguments as `contributions`.

    Example:
        >>> expected_robustness([0, 1, 3], [0.0, 0.01, 0.02])  # contributions 0, 1/4 and 1
        0.4166666666666667
    """
    return float(contributions(critical, grid, distribution).mean())


def published_robustness(critical: ArrayLike, grid: ArrayLike) -> float | None:
    """Return expected robustness by the publication's rule: the trapezoid on the grid k/255.

    A finer grid contains every k/255, so figures beside published ones need no other evaluation.

    Args:
        critical: (N,) critical indices in 0..n + 1.
        grid: (n + 1,) strengths in Linf from 0 up.

    Returns:
        The mean accuracy over U[0, eps_g]; None if the grid lacks a gray level, or does not end at
        one.

    Example:
        >>> published_robustness([0, 1, 3], [0.0, 0.5 / 255, 1 / 255])  # contributions 0, 1/2, 1
        0.5
    """
    levels = check_grid(grid) * 255
    whole = np.flatnonzero(np.abs(levels - np.round(levels)) < 1e-6)
    if whole[-1] != len(levels) - 1 or len(whole) != round(levels[-1]) + 1:
        return None
    # The first gray level that is no smaller than the critical strength.
    coarse = np.searchsorted(whole, check_critical(critical, len(levels) - 1))
    return expected_robustness(coarse, np.arange(len(whole)) / 255)
