import doctest
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.metrics import lead
from rampart.metrics.continuum import bracket, distance_contributions
from rampart.metrics.distributions import Beta
from rampart.metrics.hierarchy import hierarchical_difference
from rampart.metrics.intervals import paired_test
from rampart.metrics.lead import Bracket, Lead, lead_between
from rampart.metrics.pairs import paired_interval

GRID = np.arange(5) / 4
indices = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(0, 1), st.floats(0, 1)),
    min_size=1,
    max_size=30,
)


def inside(critical, share):
    """Critical strengths on the continuum that a record with these indices allows."""
    low = GRID[np.clip(critical - 1, 0, 4)]
    within = low + (GRID[np.clip(critical, 0, 4)] - low) * (1e-9 + share * (1 - 1e-9))
    return np.where(critical == 0, 0.0, np.where(critical == 5, np.inf, within))


@pytest.mark.parametrize("law", [None, Beta(2, 5, 1.0)])
@given(rows=indices)
def test_the_bounds_hold_for_every_curve_between_the_strengths(law, rows):
    first, second, here, there = (np.array(column) for column in zip(*rows, strict=True))
    found = lead_between(bracket(first, GRID, law), bracket(second, GRID, law), paired_interval)
    true = [
        distance_contributions(inside(c, share), 1.0, law)
        for c, share in ((first, here), (second, there))
    ]
    difference = (true[0] - true[1]).mean()
    assert found.bounds[0] - 1e-9 <= difference <= found.bounds[1] + 1e-9
    if found.verdict == "decided":
        assert np.sign(found.difference) == np.sign(difference)
    assert found.widest[0] - 1e-9 <= difference <= found.widest[1] + 1e-9


@given(rows=indices)
def test_swapping_the_models_changes_the_sign_only(rows):
    one, two = (bracket(np.array(c), GRID) for c in list(zip(*rows, strict=True))[:2])
    found = lead_between(one, two, paired_interval)
    swapped = lead_between(two, one, paired_interval)
    assert found.verdict == swapped.verdict
    assert found.bounds == pytest.approx((-swapped.bounds[1], -swapped.bounds[0]))


def test_an_artifact_of_the_straight_line_is_never_decided():
    """Two models with the same true curve: one falls just after a strength, one just before."""
    early, late = np.repeat([1, 2, 5], [100, 800, 100]), np.repeat([1, 3, 5], [100, 800, 100])
    found = lead_between(bracket(late, GRID), bracket(early, GRID), paired_interval)
    # By straight lines the lead is 20 points; critical strengths just around 1/2 make it 0.
    assert found.difference == pytest.approx(0.2)
    assert found.interval[0] > 0.15
    assert found.verdict == "grid"
    assert found.bounds[0] <= 0


def test_chance_comes_before_the_grid():
    few = [bracket(np.array(c), GRID) for c in ([5, 3], [4, 3])]
    assert lead_between(few[0], few[1], paired_interval).verdict == "chance"


def test_a_fine_grid_decides():
    grid = np.arange(101) / 100
    one, two = (bracket(np.repeat([k, 101], [150, 50]), grid) for k in (60, 50))
    assert lead_between(one, two, paired_interval).verdict == "decided"


def test_seeds_and_seeds_with_samples_decide_alike_where_images_agree():
    rows = np.array([0.50, 0.52, 0.51])
    tables = [np.repeat(rows[:, None], 500, axis=1) + shift for shift in (0.2, 0.0)]
    for wide, verdict in ((0.05, "decided"), (0.3, "grid")):
        brackets = [Bracket(t - wide / 2, t, t + wide / 2) for t in tables]
        seeds = [Bracket(*(part.mean(axis=1) for part in one)) for one in brackets]
        assert lead_between(seeds[0], seeds[1], paired_test).verdict == verdict
        both = partial(hierarchical_difference, confidence=0.95)
        assert lead_between(brackets[0], brackets[1], both).verdict == verdict


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("reach", "parts"), [(0.051, 2), (0.099, 2), (0.101, 3), (0.149, 3)])
def test_so_many_parts_bring_the_bounds_within_the_lead(sign, reach, parts):
    ends = [(0.05, 0.15), (0.05 - reach, 0.15 + reach)]
    interval, widest = ends if sign > 0 else [(-high, -low) for low, high in ends]
    found = Lead(sign * 0.1, interval, widest, widest)
    assert (found.verdict, found.parts) == ("grid", parts)
    assert reach / parts < 0.05 <= reach / (parts - 1)


def test_the_example_runs():
    result = doctest.testmod(lead)
    assert result.attempted
    assert not result.failed
