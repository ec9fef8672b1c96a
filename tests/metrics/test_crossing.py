import doctest
import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate

from rampart.errors import InvalidArgument
from rampart.metrics import crossing
from rampart.metrics.crossing import (
    Stretch,
    crossings,
    disagreement,
    expected_below,
    stretches,
)
from rampart.metrics.curve import accuracy_curve
from rampart.metrics.distributions import Beta, Mixture, PointMass, Uniform
from rampart.metrics.expectation import expected_robustness

GRID = np.array([0.0, 0.1, 0.2, 0.4])
LAWS = [
    None,
    Uniform(0.05, 0.3),
    PointMass(0.1),
    Beta(2, 3, 0.4),
    Mixture((PointMass(0), Uniform(0, 0.4)), (1, 1)),
]


@st.composite
def pairs(draw, most=6):
    n = draw(st.integers(0, most))
    grid = np.concatenate(
        [[0.0], np.cumsum(draw(st.lists(st.floats(0.01, 1), min_size=n, max_size=n)))]
    )
    rows = draw(st.lists(st.tuples(*[st.integers(0, n + 1)] * 2), min_size=1, max_size=30))
    first, second = np.array(rows).T
    return first, second, grid


def curves_of(first, second, grid):
    return [accuracy_curve(critical, len(grid) - 1) for critical in (first, second)]


def test_values():
    # The curves meet after a third, coincide, and the first leads at the end.
    first, second = [0.6, 0.5, 0.5, 0.2], [0.8, 0.5, 0.5, 0.1]
    assert stretches(first, second, GRID) == (
        Stretch(0.0, 0.1, -1),
        Stretch(0.1, 0.2, 0),
        Stretch(0.2, 0.4, 1),
    )
    assert crossings(first, second, GRID) == ((0.0, 0.4),)
    assert crossings([0.9, 0.5, 0.3, 0.0], [0.8, 0.6, 0.3, 0.1], GRID) == ((0.0, 0.1),)


def test_touching_is_not_crossing():
    assert crossings([0.9, 0.5, 0.4, 0.1], [0.8, 0.5, 0.3, 0.1], GRID) == ()


@given(pairs())
@example((np.array([1, 3]), np.array([0, 2]), np.array([0.0, 1.0, 2.0])))
def test_stretches_name_the_leader_at_every_strength(case):
    *critical, grid = case
    curves = curves_of(*critical, grid)
    parts = stretches(*curves, grid)
    assert parts[0].low == 0
    assert parts[-1].high == grid[-1]
    for before, after in itertools.pairwise(parts):
        assert before.high == after.low
        assert before.ahead != after.ahead
    for part in parts:
        eps = part.low + (part.high - part.low) * np.linspace(0.05, 0.95, 7)
        # Neither is ahead where curves touch without crossing, which happens on the grid only.
        eps = eps[~np.isclose(eps[:, None], grid).any(1)]
        first, second = (np.interp(eps, grid, curve) for curve in curves)
        np.testing.assert_array_equal(np.sign(np.round(first - second, 12)), part.ahead)


@given(pairs())
def test_swapping_the_models_swaps_the_leader(case):
    first, second, grid = case
    curves = curves_of(first, second, grid)
    parts, swapped = stretches(*curves, grid), stretches(*curves[::-1], grid)
    assert [part.ahead for part in parts] == [-part.ahead for part in swapped]
    assert crossings(*curves, grid) == crossings(*curves[::-1], grid)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_whole_is_expected_robustness(law):
    critical = np.array([0, 1, 2, 2, 3, 4, 4])
    curve = accuracy_curve(critical, 3)
    whole = expected_below(curve, GRID, 0.4, law)
    assert whole == pytest.approx(expected_robustness(critical, GRID, law), abs=1e-12)
    parts = [expected_below(curve, GRID, eps, law) for eps in np.linspace(0, 0.4, 50)]
    assert (np.diff(parts) >= -1e-12).all()


@pytest.mark.parametrize("eps", [0.03, 0.1, 0.15, 0.35])
def test_a_part_is_the_integral_up_to_the_strength(eps):
    curve, law = np.array([0.9, 0.8, 0.5, 0.1]), Beta(2, 3, 0.4)
    area, _ = integrate.quad(
        lambda e: np.interp(e, GRID, curve) * 12 * (e / 0.4) * (1 - e / 0.4) ** 2 / 0.4,
        0,
        eps,
        points=[x for x in GRID if 0 < x < eps] or None,
    )
    assert expected_below(curve, GRID, eps, law) == pytest.approx(area, abs=1e-9)


def test_a_point_mass_contributes_at_its_strength():
    curve = [0.9, 0.8, 0.5, 0.1]
    found = [expected_below(curve, GRID, eps, PointMass(0.1)) for eps in (0, 0.09, 0.1, 0.4)]
    assert found == pytest.approx([0, 0, 0.8, 0.8])
    assert expected_below(curve, GRID, 0.0, PointMass(0.0)) == pytest.approx(0.9)


@given(pairs())
def test_the_attributes_of_a_disagreement_are_consistent(case):
    first, second, grid = case
    found = disagreement(first, second, grid)
    curves = curves_of(first, second, grid)
    assert found.clean == tuple(curve[0] for curve in curves)
    assert found.worst == tuple(curve[-1] for curve in curves)
    difference = found.expected[0] - found.expected[1]
    assert sum(found.leads) == pytest.approx(difference, abs=1e-12)
    assert (
        found.expected_difference.low - 1e-9 <= difference <= found.expected_difference.high + 1e-9
    )
    for part, lead in zip(found.stretches, found.leads, strict=True):
        assert part.ahead * lead >= 0
    for half, curve in zip(found.halves, curves, strict=True):
        below = expected_below(curve, grid, half)
        assert below >= expected_below(curve, grid, grid[-1]) / 2 - 1e-9
    if found.opposite:
        assert found.crossings


def test_half_of_a_flat_curve_arises_below_the_middle():
    found = disagreement([3, 3], [1, 1], [0.0, 0.5, 1.0])
    assert found.halves[0] == pytest.approx(0.5)
    # 1 - 2 eps up to 1/2: the integral is 1/4, and half of it lies below (1 - sqrt(1/2)) / 2.
    assert found.halves[1] == pytest.approx((1 - np.sqrt(0.5)) / 2)


# 90 % clean and 8 % at the end (mean 59.75 %), against 66 and 30 % (mean 50.5 %).
WEAK = np.repeat([0, 1, 2, 3, 4, 5], [100, 70, 170, 250, 330, 80])
STRONG = np.repeat([0, 1, 2, 3, 4, 5], [340, 60, 80, 100, 120, 300])
EPS = np.array([0, 1, 2, 3, 4]) / 255


def test_opposite_rankings():
    found = disagreement(WEAK, STRONG, EPS)
    assert found.leaders == (1, -1)
    assert found.doubtful == (False, False)
    assert found.opposite
    assert found.certain
    # It leads by 14 points at 2/255 and is 1 point behind at 3/255.
    assert found.crossings == ((2 / 255, 3 / 255),)
    # Beyond 3/255 the lead of the other one may begin just before 4/255.
    assert found.decided == (2 / 255, 4 / 255)
    assert disagreement(STRONG, WEAK, EPS).leaders == (-1, 1)


def test_a_crossing_in_the_first_cell_decides_for_nothing_below_it():
    """With three strengths a straight line puts the crossing at a third of the first cell."""
    first, second = np.repeat([0, 1, 3], [10, 60, 30]), np.repeat([0, 1, 3], [20, 30, 50])
    found = disagreement(first, second, EPS[:3])
    assert found.crossings == ((0.0, 1 / 255),)
    assert found.decided == (0.0, 1 / 255)


@given(pairs(), st.integers(0, 9))
def test_a_decided_choice_holds_for_every_curve_between_the_strengths(case, seed):
    first, second, grid = case
    found = disagreement(first, second, grid)
    if found.decided is None:
        return
    below, above = found.decided
    rng = np.random.default_rng(seed)
    # Any critical strengths inside the cells; the extremes too.
    radii = []
    for critical in (first, second):
        cells = np.clip(critical, 1, len(grid) - 1)
        part = rng.choice([1e-9, 1.0, rng.random()], len(critical))
        inside = grid[cells - 1] + part * (grid[cells] - grid[cells - 1])
        radii.append(np.where(critical == 0, 0.0, np.where(critical < len(grid), inside, np.inf)))
    weak = next(part.ahead for part in found.stretches if part.ahead)
    if below:
        means = [np.minimum(r, below).mean() for r in radii]
        assert weak * (means[0] - means[1]) > -1e-9
    if above < grid[-1]:
        means = [np.clip(r, above, grid[-1]).mean() for r in radii]
        assert weak * (means[0] - means[1]) < 1e-9


def test_with_few_samples_the_disagreement_is_doubtful():
    few = disagreement(WEAK[::100], STRONG[::100], EPS)
    assert few.doubtful == (True, True)
    assert not few.certain
    confidence = disagreement(STRONG, STRONG, EPS)
    assert confidence.leaders == (0, 0)


def test_a_distribution_of_strong_adversaries_ends_the_disagreement():
    assert not disagreement(WEAK, STRONG, EPS, Beta(20, 1, EPS[-1])).opposite


@pytest.mark.parametrize(
    "call",
    [
        lambda: stretches([0.5], [0.5, 0.4], [0.0, 1.0]),
        lambda: crossings([0.5, np.nan], [0.5, 0.4], [0.0, 1.0]),
        lambda: expected_below([0.5, 0.4], [0.0, 1.0], 1.1),
        lambda: expected_below([0.5, 0.4], [0.0, 1.0], 0.5, PointMass(2)),
        lambda: disagreement([1, 2], [1], [0.0, 1.0]),
        lambda: disagreement([3], [1], [0.0, 1.0]),
    ],
)
def test_refuses_bad_input(call):
    with pytest.raises(InvalidArgument, match="expected"):
        call()


def test_the_examples_run():
    result = doctest.testmod(crossing)
    assert result.attempted
    assert not result.failed
