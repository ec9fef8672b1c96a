"""Expected robustness: the mean accuracy over a distribution of strengths.

Accuracy is known on the grid and linear in between, so under a distribution with the cdf F each
sample contributes on its own: a sample with critical index j contributes the mean of F over the
cell that ends at g_j,

    c = 0 for j = 0;  1 / (g_j - g_{j-1}) * integral of F from g_{j-1} to g_j;  1 for a survivor,

and expected robustness is mean(c). Integration by parts shows it; for the uniform distribution on
a uniform grid this is c = (j - 1/2) / n, the trapezoidal rule (Ngnawé et al., ICLR 2026, arXiv
2509.23325, eq. for E_{eps ~ U[0, eps_g]} Acc_eps).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats, check_critical, check_grid

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


class Distribution(ABC):
    """A distribution of the strength that an adversary uses: its cdf and its largest strength.

    A new one defines both; one whose cdf has jumps or a closed integral defines `cell_means` too.
    """

    @property
    @abstractmethod
    def upper(self) -> float:
        """The largest strength with any weight: F(upper) = 1."""

    @abstractmethod
    def cdf(self, eps: Floats) -> Floats:
        """Return F(eps) = P(strength <= eps), elementwise."""

    def cell_means(self, grid: Floats) -> Floats:
        """Return the (n,) means of F between neighbours of the (n + 1,) grid (quadrature)."""
        middle, half = (grid[1:] + grid[:-1]) / 2, np.diff(grid) / 2
        return self.cdf(middle[:, None] + half[:, None] * _NODES) @ _WEIGHTS / 2


@dataclass(frozen=True)
class Uniform(Distribution):
    """Every strength in [low, high] is equally likely; the publication's choice is [0, eps_g]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            got = f"[{self.low}, {self.high}]"
            raise InvalidArgument(
                "uniform", got, "0 <= low < high", "use PointMass for one strength"
            )

    @property
    def upper(self) -> float:
        """The upper end."""
        return self.high

    def cdf(self, eps: Floats) -> Floats:
        """Return the share of [low, high] below eps."""
        return np.clip((eps - self.low) / (self.high - self.low), 0.0, 1.0)

    def cell_means(self, grid: Floats) -> Floats:
        """Return the means of F between neighbours of the grid, exactly."""
        inside = np.clip(grid, self.low, self.high)
        integral = (inside - self.low) ** 2 / (2 * (self.high - self.low))
        return np.diff(integral + np.maximum(grid - self.high, 0.0)) / np.diff(grid)


@dataclass(frozen=True)
class PointMass(Distribution):
    """One strength: 0 gives clean accuracy, eps_g the usual adversarial accuracy."""

    eps: float

    def __post_init__(self) -> None:
        if not self.eps >= 0:
            raise InvalidArgument("eps", self.eps, "a strength of at least 0")

    @property
    def upper(self) -> float:
        """The strength."""
        return self.eps

    def cdf(self, eps: Floats) -> Floats:
        """Return 1 from the strength on, 0 below."""
        return (eps >= self.eps).astype(np.float64)

    def cell_means(self, grid: Floats) -> Floats:
        """Return the means of F between neighbours of the grid, exactly."""
        return np.diff(np.maximum(grid - self.eps, 0.0)) / np.diff(grid)


@dataclass(frozen=True)
class FromCdf(Distribution):
    """Any distribution with a smooth cdf: `FromCdf(scipy.stats.beta(2, 5, scale=e).cdf, e)`.

    Attributes:
        function: the cdf, elementwise.
        largest: the largest strength with any weight.
    """

    function: Callable[[Floats], Floats]
    largest: float

    def __post_init__(self) -> None:
        values = np.asarray(self.function(np.linspace(0.0, self.largest, 129)))
        if (np.diff(values) < -1e-9).any() or values[0] < 0 or abs(values[-1] - 1) > 1e-6:
            got = f"{values[0]:.4g} at 0, {values[-1]:.4g} at {self.largest:g}"
            raise InvalidArgument("cdf", got, "a function that rises to 1 at the largest strength")

    @property
    def upper(self) -> float:
        """The largest strength."""
        return self.largest

    def cdf(self, eps: Floats) -> Floats:
        """Return the function's values."""
        return self.function(eps)


def contributions(
    critical: ArrayLike, grid: ArrayLike, distribution: Distribution | None = None
) -> Floats:
    """Return what each sample contributes to expected robustness.

    Args:
        critical: (N,) critical indices in 0..n + 1.
        grid: (n + 1,) strengths from 0 up.
        distribution: of the strength; uniform on [0, eps_g] by default.

    Returns:
        (N,) shares c_i in [0, 1] whose mean is the expected robustness.

    Raises:
        InvalidArgument: an index outside the grid, or a distribution that reaches beyond it.
    """
    strengths = check_grid(grid)
    indices = check_critical(critical, len(strengths) - 1)
    distribution = distribution or default_distribution(float(strengths[-1]))
    if distribution.upper > strengths[-1]:
        expected = f"at most {strengths[-1]:g}, the last strength of the grid"
        raise InvalidArgument("distribution.upper", distribution.upper, expected)
    return np.concatenate([[0.0], distribution.cell_means(strengths), [1.0]])[indices]


def default_distribution(eps: float) -> Distribution:
    """Return the uniform distribution on [0, eps], which for eps = 0 is a point mass."""
    return Uniform(0.0, eps) if eps > 0 else PointMass(0.0)


def expected_robustness(
    critical: ArrayLike, grid: ArrayLike, distribution: Distribution | None = None
) -> float:
    """Return the mean accuracy over a distribution of strengths; arguments as `contributions`.

    Example:
        >>> expected_robustness([0, 1, 3], [0.0, 0.01, 0.02])  # contributions 0, 1/4 and 1
        0.4166666666666667
    """
    return float(contributions(critical, grid, distribution).mean())
