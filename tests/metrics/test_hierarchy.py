import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rampart.errors import InvalidArgument
from rampart.metrics.hierarchy import hierarchical_difference, hierarchical_interval
from rampart.metrics.intervals import mean_interval, seeds_interval, spread_over_seeds
from rampart.metrics.pairs import paired_interval

tables = st.tuples(st.integers(3, 6), st.integers(1, 8)).flatmap(
    lambda shape: arrays(float, shape, elements=st.floats(0, 1))
)
pairs_of_tables = st.tuples(st.integers(3, 6), st.integers(1, 8)).flatmap(
    lambda shape: arrays(float, (2, *shape), elements=st.floats(0, 1))
)


def draw(rng, seeds, samples, mean, seed, sample, rest, shared=0.0):
    """Zeros and ones; the logits of their probabilities have normal effects of these sizes."""
    logit = mean + seed * rng.normal(size=(seeds, 1)) + rest * rng.normal(size=(seeds, samples))
    logit += sample * rng.normal(size=(1, samples)) + shared
    return (rng.random((seeds, samples)) < 1 / (1 + np.exp(-logit))).astype(float)


def truth(mean, *effects):
    """The mean over all seeds and all samples, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    logit = mean + np.sqrt(np.square(effects).sum()) * nodes
    return weights @ (1 / (1 + np.exp(-logit))) / weights.sum()


#: Mean, and the effects of seed, sample and the rest, as logits.
EFFECTS = [
    (0.5, 0.0, 1.5, 0.5),
    (0.5, 0.1, 1.5, 0.5),
    (0.5, 0.4, 1.5, 0.5),
    (0.5, 0.1, 0.1, 1.0),
    (2.5, 0.2, 2.0, 0.5),
    (0.5, 0.05, 6.0, 0.1),
]


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("effects", EFFECTS)
def test_covers_at_least_as_often_as_stated(seeds, effects):
    rng, center, held = np.random.default_rng((11, seeds)), truth(*effects), []
    for _ in range(1000):
        interval = hierarchical_interval(draw(rng, seeds, 100, *effects))
        held.append(interval.low <= center <= interval.high)
    # Three standard errors of the simulation below 95 %.
    assert np.mean(held) >= 0.93


def test_an_interval_over_seeds_or_samples_alone_covers_too_rarely():
    cases = {0: (0.5, 0.5, 1.0, 0.5), 1: (0.5, 0.05, 3.0, 0.1)}
    for axis, effects in cases.items():
        rng, center, held = np.random.default_rng(axis), truth(*effects), []
        for _ in range(400):
            values = draw(rng, 5, 300, *effects)
            alone = mean_interval if axis == 0 else spread_over_seeds
            interval = alone(values.mean(axis=axis))
            held.append(interval.low <= center <= interval.high)
        assert np.mean(held) < 0.8


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_covers_the_difference_of_two_methods_on_shared_samples(seeds):
    rng, held, widths = np.random.default_rng((5, seeds)), [], []
    effects = (0.2, 0.3, 0.3)
    difference = truth(0.8, 2.0, *effects) - truth(0.5, 2.0, *effects)
    for _ in range(1000):
        shared = 2.0 * rng.normal(size=(1, 100))
        first, second = (draw(rng, seeds, 100, m, *effects, shared) for m in (0.8, 0.5))
        interval = hierarchical_difference(first, second)
        held.append(interval.low <= difference <= interval.high)
        alone = hierarchical_interval(first)
        widths.append((interval.high - interval.low) / (alone.high - alone.low))
    assert np.mean(held) >= 0.93
    # The difference of two independent methods would be sqrt(2) times as wide.
    assert np.mean(widths) < 0.95 * np.sqrt(2)


@given(tables)
def test_it_contains_both_intervals_and_stays_in_zero_to_one(values):
    interval = hierarchical_interval(values)
    seeds = spread_over_seeds(values.mean(axis=1))
    samples = mean_interval(values.mean(axis=0))
    for one in (seeds, samples):
        assert 0 <= interval.low <= one.low + 1e-12
        assert one.high - 1e-12 <= interval.high <= 1


@given(pairs_of_tables)
def test_a_difference_contains_both_intervals_and_stays_in_minus_one_to_one(two):
    first, second = two
    interval = hierarchical_difference(first, second)
    seeds = seeds_interval((first - second).mean(axis=1))
    samples = paired_interval(first.mean(axis=0), second.mean(axis=0))
    for one in (seeds, samples):
        assert -1 <= interval.low <= max(-1, one.low) + 1e-12
        assert min(1, one.high) - 1e-12 <= interval.high <= 1
    swapped = hierarchical_difference(second, first)
    assert (interval.low, interval.high) == pytest.approx((-swapped.high, -swapped.low), abs=1e-9)


def test_margins_add_in_quadrature():
    """Away from 0 and 1 the margins of both intervals are the legs of a right triangle."""
    values = np.add.outer([0.0, 0.1, 0.2], np.linspace(0.2, 0.6, 400))
    interval, mean = hierarchical_interval(values), values.mean()
    # Student's quantile of 2 degrees of freedom is 4.3027, and the seeds' deviation 0.1.
    seeds = 4.30265 * 0.1 / np.sqrt(3)
    samples = mean_interval(values.mean(axis=0))
    assert mean - interval.low == pytest.approx(np.hypot(seeds, mean - samples.low), rel=1e-5)
    assert interval.high - mean == pytest.approx(np.hypot(seeds, samples.high - mean), rel=1e-5)


def test_without_seeds_effect_it_is_the_interval_over_samples():
    values = np.tile(np.random.default_rng(8).random(80), (4, 1))
    found, expected = hierarchical_interval(values), mean_interval(values[0])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_seeds_that_agree_on_all_samples_leave_the_doubt_about_other_samples():
    ones = np.ones((3, 50))
    assert hierarchical_interval(ones).low == pytest.approx(mean_interval(ones[0]).low)
    equal = hierarchical_difference(ones, ones)
    assert equal.low == pytest.approx(-equal.high)
    assert equal.high > 0


def test_the_pigeonhole_bootstrap_agrees_where_there_are_many_seeds():
    """Seeds resampled, crossed with resampled samples (Owen 2007)."""
    rng = np.random.default_rng(9)
    values = draw(rng, 40, 100, 0.5, 0.3, 1.5, 0.1)
    means = [
        values[rng.integers(40, size=40)][:, rng.integers(100, size=100)].mean()
        for _ in range(2000)
    ]
    expected = hierarchical_interval(values)
    width = expected.high - expected.low
    found = np.percentile(means, [2.5, 97.5])
    assert tuple(found) == pytest.approx((expected.low, expected.high), abs=width / 8)


@pytest.mark.parametrize(
    "values",
    [[0.1, 0.2], [[0.1, 0.2]] * 2, [[], [], []], [[0.1, np.nan]] * 3, [[0.1, 1.1]] * 3],
)
def test_refuses_an_invalid_table(values):
    with pytest.raises(InvalidArgument, match="table="):
        hierarchical_interval(values)
    with pytest.raises(InvalidArgument, match="first="):
        hierarchical_difference(values, np.full((3, 2), 0.5))


def test_refuses_tables_of_different_seeds_or_samples():
    with pytest.raises(InvalidArgument, match="second="):
        hierarchical_difference(np.full((3, 2), 0.5), np.full((4, 2), 0.5))
