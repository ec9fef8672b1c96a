import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.metrics import continuum
from rampart.metrics.continuum import (
    bound_contributions,
    bounds,
    continuum_robustness,
    distance_contributions,
)
from rampart.metrics.distributions import Beta, Mixture, Piecewise, PointMass, Uniform
from rampart.metrics.expectation import expected_robustness

E = 0.5
LAWS = [
    Uniform(0.0, E),
    Uniform(0.1, 0.3),
    PointMass(0.0),
    PointMass(0.25),
    PointMass(E),
    Beta(2, 5, E),
    Piecewise((0, 0.2, E), (1, 3)),
    Mixture((PointMass(0.25), Uniform(0, E)), (1, 1)),
]
distances = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, E, np.inf])),
    min_size=1,
    max_size=30,
).map(np.array)
grids = st.sets(st.floats(0.01, 0.49), max_size=6).map(lambda g: np.array([0.0, *sorted(g), E]))


def critical_of(distance, grid):
    """The index of the first strength that is at least the distance; n + 1 if there is none."""
    return np.searchsorted(grid, distance, side="left")


@given(distances)
def test_uniform_is_the_mean_of_the_distances_cut_at_the_end(distance):
    plain = np.mean(np.fmin(distance, E)) / E
    assert continuum_robustness(distance, E) == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=str)
@given(distance=distances, grid=grids)
def test_bounds_enclose_both_values(law, distance, grid):
    critical, exact = critical_of(distance, grid), continuum_robustness(distance, E, law)
    wide, narrow = bounds(critical, grid, law), bounds(critical, grid, law, distance)
    assert wide.low <= wide.value <= wide.high
    assert wide.low - 1e-12 <= exact <= wide.high + 1e-12
    assert wide.value == pytest.approx(expected_robustness(critical, grid, law), abs=1e-9)
    assert narrow.low == wide.low
    assert narrow.low <= narrow.value <= narrow.high <= wide.high
    # Known distances make the upper end exact.
    assert narrow.high == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_grid_converges_to_the_continuum(law):
    distance = np.random.default_rng(0).gamma(2, 0.15, 500)
    exact, widths = continuum_robustness(distance, E, law), []
    for n in (4, 40, 4000):
        grid = np.linspace(0, E, n + 1)
        found = bounds(critical_of(distance, grid), grid, law)
        widths.append(found.high - found.low)
        assert found.low - 1e-12 <= exact <= found.high + 1e-12
    assert widths[0] >= widths[1] >= widths[2]
    assert widths[2] < 1e-3
    assert found.value == pytest.approx(exact, abs=1e-3)


def test_a_sample_with_its_critical_strength_at_the_point_is_misclassified():
    # Critical strengths: at the point, just above it, none, and 0.
    distance = [0.25, np.nextafter(0.25, 1), np.inf, 0.0]
    assert distance_contributions(distance, E, PointMass(0.25)).tolist() == [0, 1, 1, 0]
    assert distance_contributions([E, np.inf], E, PointMass(E)).tolist() == [0, 1]
    assert distance_contributions([0.0, 0.1], E, PointMass(0)).tolist() == [0, 1]


def test_for_a_point_on_the_grid_the_bounds_are_equal():
    grid, critical = [0.0, 0.25, E], np.arange(4)
    for law, expected in (
        (PointMass(0), [0, 1, 1, 1]),
        (PointMass(0.25), [0, 0, 1, 1]),
        (PointMass(E), [0, 0, 0, 1]),
    ):
        low, high = bound_contributions(critical, grid, law)
        assert low.tolist() == high.tolist() == expected


def test_an_adversarial_example_below_the_middle_of_its_cell_lowers_the_value():
    found = bounds([1, 1], [0.0, E], distances=[0.1 * E, np.nan])
    assert (found.low, found.value, found.high) == pytest.approx((0, 0.3, 0.55))


def test_distances_may_exceed_their_strength_by_rounding_but_not_contradict():
    grid = [0.0, 0.25, E]
    slightly = bounds([1, 2], grid, distances=[0.25 + 1e-7, 0.25 - 1e-7])
    assert slightly.high <= 0.5
    with pytest.raises(InvalidArgument, match="distances=0.2:.* 0.25"):
        bounds([1, 2], grid, distances=[0.25, 0.2])


@pytest.mark.parametrize(
    "call",
    [
        lambda: continuum_robustness([], E),
        lambda: continuum_robustness([[0.1]], E),
        lambda: continuum_robustness([-0.1], E),
        # A record has no distance for some images that were broken.
        lambda: continuum_robustness([0.1, np.nan], E),
        lambda: continuum_robustness([0.1], E, Uniform(0, 2 * E)),
        lambda: bounds([1], [0.0, E], Uniform(0, 2 * E)),
        lambda: bounds([1], [0.0, E], distances=[0.1, 0.2]),
    ],
)
def test_refuses_bad_input(call):
    with pytest.raises(InvalidArgument, match="expected"):
        call()


def test_the_examples_run():
    result = doctest.testmod(continuum)
    assert result.attempted
    assert not result.failed
