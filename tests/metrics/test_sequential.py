import doctest
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.metrics import sequential
from rampart.metrics.intervals import mean_interval
from rampart.metrics.sequential import GROWTH, Until, sequential_interval

CELLS = (np.arange(8) + 0.5) / 8


def curve(wrong, robust):
    """Contributions of images that break at every strength alike, and their probabilities."""
    return np.r_[0, CELLS, 1], np.r_[wrong, np.full(8, (1 - wrong - robust) / 8), robust]


POPULATIONS = {
    "usual": curve(0.2, 0.3),
    "not robust": curve(0.05, 0),
    "half robust": (np.array([0.0, 1.0]), np.array([0.5, 0.5])),
    "few wrong": (np.array([0.0, 0.9375]), np.array([0.02, 0.98])),
}


def coverage(name, interval, runs=500):
    """Return how often the interval at the stop covers the mean."""
    (values, shares), half_width = POPULATIONS[name], 0.05 if name == "few wrong" else 0.06
    rule, rng, hits = Until(half_width), np.random.default_rng(0), 0
    for _ in range(runs):
        drawn = rng.choice(values, size=600, p=shares)
        for size in rule.sizes(len(drawn)):
            found = interval(drawn[:size])
            if found.high - found.low <= 2 * half_width:
                break
        hits += found.low - 1e-12 <= values @ shares <= found.high + 1e-12
    return hits / runs


@pytest.mark.parametrize("name", POPULATIONS)
def test_the_interval_covers_at_the_stop(name):
    # Three standard errors of 500 runs below 95 %.
    assert coverage(name, sequential_interval) > 0.92


def test_the_interval_of_a_fixed_size_does_not():
    assert coverage("few wrong", mean_interval) < 0.9


@given(st.floats(0.005, 0.2), st.floats(0.005, 0.2), st.integers(1, 5000))
def test_looks_of_a_narrower_interval_are_among_those_of_a_wider_one(first, second, available):
    narrow, wide = sorted((first, second))
    some, more = Until(narrow).sizes(available), Until(wide).sizes(available)
    assert more[-len(some) :] == some
    assert some[-1] == available
    assert all(after <= np.ceil(GROWTH * before) for before, after in pairwise(some))


@given(st.integers(0, 2**16), st.floats(0, 1), st.floats(0.05, 0.2))
def test_more_precision_never_needs_fewer_images(seed, share, half_width):
    values = (np.random.default_rng(seed).random(400) < share).astype(float)
    stops = [Until(width).stop(values) or 401 for width in (half_width, 0.7 * half_width)]
    assert stops[0] <= stops[1]


@given(st.integers(0, 2**16), st.floats(0, 1))
def test_passing_over_looks_does_not_change_the_stop(seed, share):
    values = (np.random.default_rng(seed).random(700) < share).astype(float)
    rule = Until(0.06)
    size, stop = rule.sizes(len(values))[0], None
    while stop is None and size < len(values):
        larger = rule.next_size(values[:size], len(values))
        assert size < larger <= len(values)
        size = larger
        stop = rule.stop(values[:size])
    assert stop == rule.stop(values)


def test_equal_values_do_not_look_certain():
    assert Until(0.02).stop(np.full(200, 0.9375)) is None
    assert mean_interval(np.full(200, 0.9375)).high < sequential_interval([0.9375] * 200).high


def test_sizes_below_those_that_are_there_are_left_out():
    assert Until(0.1).sizes(100, at_least=70) == [74, 81, 89, 98, 100]


def test_refuses_values_outside_the_unit_interval():
    with pytest.raises(InvalidArgument, match="values"):
        Until(0.05).stop([0.0, 1.5])


def test_the_examples_run():
    assert doctest.testmod(sequential).failed == 0
