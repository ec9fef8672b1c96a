"""Where two accuracy curves cross, and whether one figure hides it.

Expected robustness counts weak perturbations as much as strong ones, so a lead in clean accuracy
can outweigh a loss at the target strength; accuracy at the target strength says nothing of weaker
ones. Where the two rank models in opposite order the curves cross, and the choice between them is
one of the strengths to be expected, which no single figure makes.

Curves are linear between the strengths of the grid, as in `expectation`.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument
from rampart.metrics.comparison import LEVEL, Interval
from rampart.metrics.curve import Floats, accuracy_curve, check_critical, check_grid
from rampart.metrics.distributions import Distribution, check_reach
from rampart.metrics.expectation import contributions
from rampart.metrics.pairs import paired_interval
from rampart.units import format_eps


@dataclass(frozen=True)
class Stretch:
    """Strengths from `low` to `high` over which the same of two models is ahead.

    Attributes:
        low: where it begins.
        high: where it ends.
        ahead: 1 the first, -1 the second, 0 neither.
    """

    low: float
    high: float
    ahead: int


@dataclass(frozen=True)
class Disagreement:
    """Two models on the same samples, by expected robustness and by accuracy at eps_g.

    Attributes:
        eps: the last strength of the grid, eps_g.
        clean: accuracy of both without perturbation.
        expected: expected robustness of both.
        worst: accuracy of both at eps_g.
        expected_difference: interval of first - second in expected robustness.
        worst_difference: interval of first - second in accuracy at eps_g.
        stretches: who is ahead where, from 0 to eps_g.
        leads: the part of the difference in expected robustness that comes from each stretch;
            they add up to it.
        halves: for both the strength up to which half of expected robustness is earned.
    """

    eps: float
    clean: tuple[float, float]
    expected: tuple[float, float]
    worst: tuple[float, float]
    expected_difference: Interval
    worst_difference: Interval
    stretches: tuple[Stretch, ...]
    leads: tuple[float, ...]
    halves: tuple[float, float]

    @property
    def opposite(self) -> bool:
        """Whether the two figures rank the models in opposite order."""
        return _sign(*self.expected) * _sign(*self.worst) < 0

    @property
    def certain(self) -> bool:
        """Whether neither interval of a difference holds 0."""
        return not any(i.low <= 0 <= i.high for i in _differences(self))

    @property
    def crossings(self) -> tuple[float, ...]:
        """The strengths at which the lead changes hands."""
        return _changes(self.stretches)


def stretches(first: ArrayLike, second: ArrayLike, grid: ArrayLike) -> tuple[Stretch, ...]:
    """Return who is ahead where, from 0 to eps_g; exact for curves linear between strengths.

    Args:
        first: (n + 1,) accuracies on the grid.
        second: (n + 1,) accuracies of the other.
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
    # Between neighbouring nodes the lead has one sign, that of its mean.
    signs = np.sign(values[1:] + values[:-1]).astype(int)
    starts = np.flatnonzero(np.diff(signs, prepend=2))
    ends = [*starts[1:], len(signs)]
    return tuple(
        Stretch(float(nodes[start]), float(nodes[end]), int(signs[start]))
        for start, end in zip(starts, ends, strict=True)
    )


def crossings(first: ArrayLike, second: ArrayLike, grid: ArrayLike) -> tuple[float, ...]:
    """Return the strengths at which the lead changes hands; arguments as `stretches`.

    Where the curves touch without crossing there is none; where they run together before they
    cross, it is the strength at which the first lead ends.
    """
    return _changes(stretches(first, second, grid))


def expected_below(
    curve: ArrayLike, grid: ArrayLike, eps: float, distribution: Distribution | None = None
) -> float:
    """Return the part of expected robustness that is earned at strengths up to `eps`.

    The integral of accuracy dF over [0, eps], by parts: Acc(eps) F(eps) plus, for each cell below
    eps, the fall of accuracy over it times the mean of F over it.

    Args:
        curve: (n + 1,) accuracies on the grid.
        grid: (n + 1,) strengths from 0 up.
        eps: a strength in [0, eps_g]; at eps_g the whole is returned.
        distribution: of the strength; uniform on [0, eps_g] by default.

    Raises:
        InvalidArgument: a curve that does not fit, or a strength outside the grid.
    """
    strengths = check_grid(grid)
    accuracy = _check_curve("curve", curve, strengths)
    if not 0 <= eps <= strengths[-1]:
        raise InvalidArgument("eps", eps, f"a strength in [0, {strengths[-1]:g}]")
    law = check_reach(distribution, float(strengths[-1]), "the last strength of the grid")
    nodes = np.append(strengths[strengths < eps], eps)
    values = np.interp(nodes, strengths, accuracy)
    return float(values[-1] * law.cdf(nodes)[-1] - np.diff(values) @ law.cell_means(nodes))


def disagreement(
    first: ArrayLike,
    second: ArrayLike,
    grid: ArrayLike,
    distribution: Distribution | None = None,
    level: float = LEVEL,
) -> Disagreement:
    """Return how two models compare by expected robustness, at eps_g, and in between.

    Args:
        first: (N,) critical indices in 0..n + 1.
        second: (N,) those of the other model, on the same samples in the same order.
        grid: (n + 1,) strengths from 0 up, of both.
        distribution: of the strength; uniform on [0, eps_g] by default.
        level: of the intervals.

    Raises:
        InvalidArgument: records of different lengths, indices outside the grid, or a distribution
            that reaches beyond it.
    """
    strengths = check_grid(grid)
    n = len(strengths) - 1
    both = [check_critical(critical, n) for critical in (first, second)]
    c = [contributions(critical, strengths, distribution) for critical in both]
    curves = [accuracy_curve(critical, n) for critical in both]
    parts = stretches(curves[0], curves[1], strengths)
    return Disagreement(
        eps=float(strengths[-1]),
        clean=_pair([curve[0] for curve in curves]),
        expected=_pair([values.mean() for values in c]),
        worst=_pair([curve[-1] for curve in curves]),
        expected_difference=paired_interval(c[0], c[1], level),
        worst_difference=paired_interval(both[0] > n, both[1] > n, level),
        stretches=parts,
        leads=_leads(parts, curves, strengths, distribution),
        halves=_pair([_half(curve, strengths, distribution) for curve in curves]),
    )


def advice(found: Disagreement, names: tuple[str, str] = ("the first", "the second")) -> str:
    """Return which of the two to choose, in one or two sentences made of its numbers alone.

    Example:
        >>> advice(disagreement([1, 2], [1, 2], [0.0, 0.25, 0.5]))
        'The first and the second are level at every strength.'
    """
    if all(part.ahead == 0 for part in found.stretches):
        return f"{_capital(names[0])} and {names[1]} are level at every strength."
    eps = format_eps(found.eps)
    figures = f"{_points(found.expected)} expected, {_points(found.worst)} at {eps}"
    return f"{_claim(found, names)} ({figures}){_where(found, names)}.{_doubt(found)}"


def _claim(found: Disagreement, names: tuple[str, str]) -> str:
    """Who leads in which of the two figures."""
    leaders = [
        f"{names[0] if sign > 0 else names[1]} leads" if sign else "neither leads"
        for sign in (_sign(*found.expected), _sign(*found.worst))
    ]
    eps = format_eps(found.eps)
    if leaders[0] == leaders[1]:
        return f"{_capital(leaders[0])} in expected robustness and in accuracy at {eps}"
    link = "but" if found.opposite else "and"
    return f"{_capital(leaders[0])} in expected robustness, {link} {leaders[1]} at {eps}"


def _where(found: Disagreement, names: tuple[str, str]) -> str:
    """At which strengths to choose which, where that is not the same at all."""
    strengths = [_spell(eps, found.eps) for eps in found.crossings]
    if not strengths:
        return ""
    if len(strengths) > 1:
        return f"; the curves cross at {', '.join(strengths[:-1])} and {strengths[-1]}"
    weak = next(part.ahead for part in found.stretches if part.ahead)
    near, far = names if weak > 0 else names[::-1]
    return f"; choose {near} if perturbations stay below {strengths[0]}, {far} if they exceed it"


def _doubt(found: Disagreement) -> str:
    spoken = ("expected robustness", f"accuracy at {format_eps(found.eps)}")
    figures = zip(spoken, (found.expected, found.worst), _differences(found), strict=True)
    doubtful = [name for name, pair, i in figures if _sign(*pair) and i.low <= 0 <= i.high]
    return f" The difference in {' and in '.join(doubtful)} may be chance." if doubtful else ""


def _differences(found: Disagreement) -> tuple[Interval, Interval]:
    return found.expected_difference, found.worst_difference


def _leads(
    parts: tuple[Stretch, ...],
    curves: list[Floats],
    grid: Floats,
    distribution: Distribution | None,
) -> tuple[float, ...]:
    """What each stretch adds to first - second in expected robustness."""
    lead = curves[0] - curves[1]
    sums = [expected_below(lead, grid, part.high, distribution) for part in parts]
    return tuple(np.diff(sums, prepend=0.0).tolist())


def _half(curve: Floats, grid: Floats, distribution: Distribution | None) -> float:
    """The least strength up to which half of expected robustness is earned, by bisection."""
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
    """Grid and values with the zeros between the strengths put in."""
    cells = np.flatnonzero(lead[:-1] * lead[1:] < 0)
    share = lead[cells] / (lead[cells] - lead[cells + 1])
    zeros = grid[cells] + share * (grid[cells + 1] - grid[cells])
    return np.insert(grid, cells + 1, zeros), np.insert(lead, cells + 1, 0.0)


def _changes(parts: tuple[Stretch, ...]) -> tuple[float, ...]:
    ahead = [part for part in parts if part.ahead]
    return tuple(a.high for a, b in pairwise(ahead) if a.ahead != b.ahead)


def _check_curve(name: str, curve: ArrayLike, grid: Floats) -> Floats:
    values = np.asarray(curve, dtype=np.float64)
    if values.shape != grid.shape or not np.isfinite(values).all():
        raise InvalidArgument(name, f"shape {values.shape}", f"{grid.shape} finite accuracies")
    return values


def _pair(values: list[float]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _sign(first: float, second: float) -> int:
    """Who is ahead; a difference of rounding is none."""
    return 0 if abs(first - second) < 1e-12 else 1 if first > second else -1


def _spell(eps: float, last: float) -> str:
    """A strength in the unit in which the last one is written."""
    return f"{255 * eps:.1f}/255" if format_eps(last).endswith("/255") else f"{eps:.3g}"


def _points(pair: tuple[float, float]) -> str:
    return f"{100 * pair[0]:.1f} against {100 * pair[1]:.1f} %"


def _capital(text: str) -> str:
    """Begin a sentence; the name of a model stays as it is written."""
    return text[:1].upper() + text[1:] if text.startswith(("the ", "neither ")) else text
