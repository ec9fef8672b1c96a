"""Distributions of the strength of an adversary, each with the means of its cdf over grid cells.

Strengths are fractions of the pixel range. The command line accepts the registered distributions;
`FromCdf` and `Mixture` are available in Python only.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy

from rampart.errors import InvalidArgument
from rampart.metrics.curve import Floats
from rampart.registry import Registry
from rampart.units import Norm, format_eps, parse_eps

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


class Distribution(ABC):
    """A distribution of the strength of an adversary: its cdf and its largest strength.

    A subclass defines `cdf` and `upper`. If its cdf has jumps, it also defines `below` and
    `cell_means`; if its cdf has a closed integral, it should define `cell_means`.
    """

    @property
    @abstractmethod
    def upper(self) -> float:
        """The largest possible strength: F(upper) = 1."""

    @abstractmethod
    def cdf(self, eps: Floats) -> Floats:
        """Return F(eps) = P(strength <= eps), elementwise."""

    def below(self, eps: Floats) -> Floats:
        """Return F(eps-) = P(strength < eps), elementwise; it differs from F(eps) at jumps only."""
        return self.cdf(eps)

    def cell_means(self, grid: Floats) -> Floats:
        """Return the (n,) means of F over the cells of the (n + 1,) grid, by quadrature."""
        middle, half = (grid[1:] + grid[:-1]) / 2, np.diff(grid) / 2
        return self.cdf(middle[:, None] + half[:, None] * _NODES) @ _WEIGHTS / 2


#: Distributions by name.
DISTRIBUTIONS: Registry[Distribution] = Registry("distribution")


@DISTRIBUTIONS.register("uniform")
@dataclass(frozen=True)
class Uniform(Distribution):
    """The uniform distribution on [low, high]; the publication uses [0, eps_g]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            got = f"[{format_eps(self.low)}, {format_eps(self.high)}]"
            raise InvalidArgument(
                "uniform", got, "0 <= low < high", "use the distribution point for one strength"
            )

    @property
    def upper(self) -> float:
        """The upper end."""
        return self.high

    def cdf(self, eps: Floats) -> Floats:
        """Return the fraction of [low, high] below eps."""
        return np.clip((eps - self.low) / (self.high - self.low), 0.0, 1.0)

    def cell_means(self, grid: Floats) -> Floats:
        """Return the means of F over the cells of the grid, exactly."""
        inside = np.clip(grid, self.low, self.high)
        integral = (inside - self.low) ** 2 / (2 * (self.high - self.low))
        return np.diff(integral + np.maximum(grid - self.high, 0.0)) / np.diff(grid)


@DISTRIBUTIONS.register("point")
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

    def below(self, eps: Floats) -> Floats:
        """Return 1 beyond the strength, 0 up to it."""
        return (eps > self.eps).astype(np.float64)

    def cell_means(self, grid: Floats) -> Floats:
        """Return the means of F over the cells of the grid, exactly."""
        return np.diff(np.maximum(grid - self.eps, 0.0)) / np.diff(grid)


@DISTRIBUTIONS.register("beta")
@dataclass(frozen=True)
class Beta(Distribution):
    """The Beta distribution on [0, high]: a < b favors weak adversaries, a > b strong ones.

    With I the regularized incomplete beta function and x = eps / high, F = I_x(a, b), and

        integral of F from 0 to eps = eps I_x(a, b) - high a / (a + b) I_x(a + 1, b)

    (by parts; Johnson, Kotz and Balakrishnan 1995, chapter 25). Beta(1, 1, high) is uniform.
    """

    a: float
    b: float
    high: float

    def __post_init__(self) -> None:
        if not (self.a > 0 and self.b > 0 and self.high > 0):
            got = f"({self.a:g}, {self.b:g}, {format_eps(self.high)})"
            raise InvalidArgument("beta (a, b, high)", got, "three positive numbers")

    @property
    def upper(self) -> float:
        """The upper end."""
        return self.high

    def cdf(self, eps: Floats) -> Floats:
        """Return I_x(a, b)."""
        return scipy.special.betainc(self.a, self.b, np.clip(eps / self.high, 0.0, 1.0))

    def cell_means(self, grid: Floats) -> Floats:
        """Return the means of F over the cells of the grid, exactly."""
        mean = self.high * self.a / (self.a + self.b)
        moment = scipy.special.betainc(self.a + 1, self.b, np.clip(grid / self.high, 0.0, 1.0))
        return np.diff(grid * self.cdf(grid) - mean * moment) / np.diff(grid)


@dataclass(frozen=True)
class Mixture(Distribution):
    """A mixture: `Mixture((PointMass(0), Uniform(0, e)), (1, 3))` is clean in a quarter of cases.

    Attributes:
        parts: the distributions, one or more.
        weights: one per part, not negative; only their ratios matter.
    """

    parts: tuple[Distribution, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "weights", _check_weights(self.weights, len(self.parts)))

    @property
    def upper(self) -> float:
        """The largest strength of the parts with a positive weight."""
        return max(part.upper for part, w in zip(self.parts, self.weights, strict=True) if w)

    def cdf(self, eps: Floats) -> Floats:
        """Return the weighted mean of the parts' cdfs."""
        return self._mean([part.cdf(eps) for part in self.parts])

    def below(self, eps: Floats) -> Floats:
        """Return the weighted mean of the parts' probabilities below eps."""
        return self._mean([part.below(eps) for part in self.parts])

    def cell_means(self, grid: Floats) -> Floats:
        """Return the weighted mean of the parts' cell means."""
        return self._mean([part.cell_means(grid) for part in self.parts])

    def _mean(self, values: Sequence[Floats]) -> Floats:
        return np.average(values, axis=0, weights=self.weights)


@DISTRIBUTIONS.register("piecewise")
@dataclass(frozen=True)
class Piecewise(Distribution):
    """A histogram of strengths: constant density between neighboring edges.

    Attributes:
        edges: (m + 1,) ascending strengths, the first at least 0.
        weights: (m,) probabilities of the cells, not negative; only their ratios matter.
    """

    edges: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        edges = tuple(map(float, self.edges))
        if len(edges) < 2 or edges[0] < 0 or not all(a < b for a, b in pairwise(edges)):
            raise InvalidArgument("edges", edges, "two or more ascending strengths of at least 0")
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "weights", _check_weights(self.weights, len(edges) - 1))

    @property
    def upper(self) -> float:
        """The upper end of the last cell with a positive weight."""
        return self._mixture.upper

    def cdf(self, eps: Floats) -> Floats:
        """Return the probability of the strengths up to eps."""
        return self._mixture.cdf(eps)

    def cell_means(self, grid: Floats) -> Floats:
        """Return the means of F over the cells of the grid, exactly."""
        return self._mixture.cell_means(grid)

    @property
    def _mixture(self) -> Mixture:
        return Mixture(tuple(Uniform(*cell) for cell in pairwise(self.edges)), self.weights)


@dataclass(frozen=True)
class FromCdf(Distribution):
    """Any distribution with a smooth cdf: `FromCdf(scipy.stats.norm(e / 2, e / 9).cdf, e)`.

    Attributes:
        function: the cdf, elementwise.
        largest: the largest possible strength.
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


def default_distribution(eps: float) -> Distribution:
    """Return the uniform distribution on [0, eps]; for eps = 0 a point mass."""
    return Uniform(0.0, eps) if eps > 0 else PointMass(0.0)


def build_distribution(
    name: str, options: Mapping[str, Any] | None = None, eps: float = 0.0, norm: Norm = "linf"
) -> Distribution:
    """Build a registered distribution from plain options, as the command line gives them.

    Args:
        name: "uniform", "point", "beta" or "piecewise".
        options: fields of the distribution; strengths may be text such as "4/255".
        eps: the last strength of the grid, the default of the options `high` and `eps`.
        norm: the norm that limits the range of the strengths.

    Raises:
        UnknownName: the distribution or an option is unknown.
        InvalidArgument: an option has the wrong type or is out of range.

    Example:
        >>> build_distribution("beta", {"a": 2, "b": 5}, eps=0.5)
        Beta(a=2.0, b=5.0, high=0.5)
    """
    defaults: dict[str, Any] = {"low": 0.0, "high": eps, "eps": eps}
    chosen = {key: v for key, v in defaults.items() if DISTRIBUTIONS.takes(name, key)}
    chosen |= options or {}
    for key in chosen.keys() & defaults.keys():
        chosen[key] = parse_eps(chosen[key], norm, f"distribution.{key}")
    if "edges" in chosen and isinstance(chosen["edges"], Sequence):
        chosen["edges"] = [parse_eps(e, norm, "distribution.edges") for e in chosen["edges"]]
    return DISTRIBUTIONS.build(name, chosen)


def parse_distribution(text: str, eps: float = 0.0, norm: Norm = "linf") -> Distribution:
    """Build a distribution from text with its name and options.

    Args:
        text: "NAME" or "NAME:OPTION=VALUE,OPTION=VALUE", lists in brackets.
        eps: as in `build_distribution`.
        norm: as in `build_distribution`.

    Raises:
        UnknownName: the distribution or an option is unknown.
        InvalidArgument: an option has no value, or a value that does not fit.

    Example:
        >>> parse_distribution("piecewise:edges=[0,0.25,0.5],weights=[1,3]")
        Piecewise(edges=(0.0, 0.25, 0.5), weights=(1.0, 3.0))
    """
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for option in filter(None, re.split(r",(?![^\[]*\])", rest)):
        key, equals, value = option.partition("=")
        if not (key and equals and value):
            do = "write for example beta:a=2,b=5"
            raise InvalidArgument("distribution", text, "NAME:OPTION=VALUE,...", do)
        listed = value.startswith("[") and value.endswith("]")
        options[key.strip()] = value[1:-1].split(",") if listed else value
    return build_distribution(name, options, eps, norm)


def check_extent(distribution: Distribution | None, eps: float, limit: str) -> Distribution:
    """Return the distribution, uniform on [0, eps] by default.

    Args:
        distribution: the distribution, or None.
        eps: the largest allowed strength.
        limit: description of eps, for the error.

    Raises:
        InvalidArgument: the distribution extends beyond eps.
    """
    distribution = distribution or default_distribution(eps)
    if distribution.upper > eps:
        expected = f"at most {format_eps(eps)}, {limit}"
        raise InvalidArgument("distribution.upper", format_eps(distribution.upper), expected)
    return distribution


def _check_weights(weights: Sequence[float], count: int) -> tuple[float, ...]:
    values = tuple(map(float, weights))
    valid = all(0 <= w < np.inf for w in values)
    if not (len(values) == count and valid and sum(values) > 0):
        raise InvalidArgument(
            "weights", values, f"{count} finite numbers of at least 0, not all of them 0"
        )
    return values
