import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rampart.errors import InvalidArgument
from rampart.metrics.hierarchy import hierarchical_interval
from rampart.metrics.intervals import seeds_interval


def table(rng, seeds, samples, seed, sample, rest, mean=0.5):
    """Two-way random effects with these variances, known exactly."""
    return (
        mean
        + np.sqrt(seed) * rng.normal(size=(seeds, 1))
        + np.sqrt(sample) * rng.normal(size=(1, samples))
        + np.sqrt(rest) * rng.normal(size=(seeds, samples))
    )


def coverage(make, runs, *shape, mean=0.5):
    rng = np.random.default_rng(11)
    intervals = [make(table(rng, *shape, mean=mean)) for _ in range(runs)]
    return np.mean([i.low <= mean <= i.high for i in intervals])


#: Seeds, samples; variances of seed, sample and the rest, as of contributions in [0, 1].
COMPONENTS = [
    (5, 100, 0.0, 0.1, 0.05),
    (5, 100, 0.0004, 0.1, 0.05),
    (5, 300, 0.002, 0.1, 0.05),
    (5, 300, 0.01, 0.02, 0.1),
    (10, 100, 0.0001, 0.15, 0.01),
    (10, 300, 0.002, 0.02, 0.1),
]


@given(arrays(float, (3, 4), elements=st.floats(0, 1)))
def test_it_contains_the_mean(values):
    interval = hierarchical_interval(values)
    assert interval.low <= values.mean() <= interval.high


@pytest.mark.parametrize("case", COMPONENTS)
def test_covers(case):
    assert 0.93 <= coverage(hierarchical_interval, 2000, *case) <= 0.97


@pytest.mark.parametrize(
    ("axis", "case"), [(0, (5, 300, 0.01, 0.1, 0.05)), (1, (5, 100, 1e-4, 0.1, 0.02))]
)
def test_an_interval_over_seeds_or_samples_alone_covers_too_rarely(axis, case):
    assert coverage(lambda t: seeds_interval(t.mean(axis=axis)), 500, *case) < 0.8


def test_covers_the_difference_of_two_methods_on_shared_samples():
    rng, held, widths = np.random.default_rng(5), [], []
    for _ in range(2000):
        shared = np.sqrt(0.1) * rng.normal(size=(1, 100))
        first = table(rng, 5, 100, 0.001, 0.005, 0.02, mean=0.53) + shared
        second = table(rng, 5, 100, 0.001, 0.005, 0.02, mean=0.5) + shared
        interval = hierarchical_interval(first - second)
        held.append(interval.low <= 0.03 <= interval.high)
        alone = hierarchical_interval(first)
        widths.append((interval.high - interval.low) / (alone.high - alone.low))
    assert 0.93 <= np.mean(held) <= 0.97
    assert np.mean(widths) < 0.8


def test_covers_fractions():
    """Zeros and ones, with probabilities that are logistic in the effects of seed and sample."""
    rng, held, seeds, samples = np.random.default_rng(6), [], 5, 200
    nodes = rng.normal(size=(1_000_000, 2)) @ [0.2, 1.5]
    truth = (1 / (1 + np.exp(-0.5 - nodes))).mean()
    for _ in range(2000):
        logit = 0.5 + 0.2 * rng.normal(size=(seeds, 1)) + 1.5 * rng.normal(size=(1, samples))
        right = rng.random((seeds, samples)) < 1 / (1 + np.exp(-logit))
        interval = hierarchical_interval(right)
        held.append(interval.low <= truth <= interval.high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_identical_methods_differ_by_exactly_zero():
    values = np.random.default_rng(7).random((3, 50))
    interval = hierarchical_interval(values - values)
    assert (interval.low, interval.high) == (0, 0)


def test_without_seeds_effect_it_is_the_interval_over_samples():
    values = np.tile(np.random.default_rng(8).random(80), (4, 1))
    found, expected = hierarchical_interval(values), seeds_interval(values[0])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_pigeonhole_bootstrap_agrees_where_there_are_many_seeds():
    """Seeds resampled, crossed with resampled samples (Owen 2007)."""
    rng = np.random.default_rng(9)
    values = table(rng, 40, 100, 0.005, 0.1, 0.05)
    means = [
        values[rng.integers(40, size=40)][:, rng.integers(100, size=100)].mean()
        for _ in range(2000)
    ]
    expected = hierarchical_interval(values)
    width = expected.high - expected.low
    found = np.percentile(means, [2.5, 97.5])
    assert tuple(found) == pytest.approx((expected.low, expected.high), abs=width / 8)


@pytest.mark.parametrize(
    "values", [[0.1, 0.2], [[0.1, 0.2]], [[0.1], [0.2]], [[0.1, np.nan], [0.1, 0.2]]]
)
def test_refuses_an_invalid_table(values):
    with pytest.raises(InvalidArgument, match="table="):
        hierarchical_interval(values)
