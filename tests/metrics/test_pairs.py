import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rampart.errors import InvalidArgument
from rampart.metrics import pairs
from rampart.metrics.intervals import mean_interval
from rampart.metrics.pairs import mcnemar, paired_interval, sign_flip_test

fractions = st.floats(0, 1)
tables = st.lists(st.tuples(fractions, fractions), min_size=1, max_size=40)


@given(st.lists(fractions, min_size=1, max_size=200))
def test_identical_records_differ_by_exactly_zero(values):
    interval = paired_interval(values, values)
    assert interval.low == pytest.approx(-interval.high, abs=1e-12)
    assert interval.high > 0
    assert sign_flip_test(values, values) == 1
    right = np.array(values) > 0.5
    test = mcnemar(right, right)
    assert (test.difference, test.first_only, test.second_only, test.p) == (0, 0, 0, 1)


def test_agreement_on_more_samples_narrows_the_interval():
    high = [paired_interval(np.ones(n), np.ones(n)).high for n in (20, 100, 1000)]
    assert high[0] > 3 * high[1] > 9 * high[2] > 0
    # The rule of three: no disagreement among 100 allows for a fraction of 3 %.
    assert high[1] == pytest.approx(0.03, abs=0.005)


@given(tables)
def test_contains_the_difference_and_is_antisymmetric(table):
    first, second = np.array(table).T
    interval, swapped = paired_interval(first, second), paired_interval(second, first)
    assert -1 <= interval.low <= np.mean(first - second) + 1e-12
    assert np.mean(first - second) - 1e-12 <= interval.high <= 1
    assert (interval.low, interval.high) == pytest.approx((-swapped.high, -swapped.low), abs=1e-9)


def test_pairing_narrows():
    rng = np.random.default_rng(0)
    first = rng.random(500) > 0.4
    second = first ^ (rng.random(500) < 0.05)
    alone, paired = mean_interval(first), paired_interval(first, second)
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def coverage(n, values, law, runs=2000):
    """How often the interval covers the true difference, in `runs` pairs of evaluations."""
    counts = np.random.default_rng((7, n)).multinomial(n, law, size=runs)
    held = 0
    for row in counts:
        d = np.repeat(values, row)
        interval = paired_interval(np.maximum(d, 0), np.maximum(-d, 0))
        held += interval.low <= values @ law <= interval.high
    return held / runs


@pytest.mark.parametrize(
    ("n", "discordance", "won"),
    [(300, 0.4, 0.5), (300, 0.4, 0.9), (1000, 0.2, 0.7), (1000, 0.1, 0.9), (1000, 0.4, 0.5)],
)
@pytest.mark.parametrize("steps", [1, 8])
def test_covers(n, discordance, won, steps):
    """One step gives zeros and ones; eight give contributions with mostly small differences."""
    sizes = np.arange(1, steps + 1) / steps
    weights = 0.8 ** np.arange(steps) / sum(0.8 ** np.arange(steps))
    values = np.concatenate([-sizes, [0.0], sizes])
    law = [*(discordance * (1 - won) * weights), 1 - discordance, *(discordance * won * weights)]
    assert 0.93 <= coverage(n, values, np.array(law)) <= 0.97


@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("won", [0.5, 0.9, 1.0])
def test_is_conservative_if_few_samples_differ(n, won):
    """The paired t interval covers 85 % of the time with n = 100 and won = 0.9."""
    law = np.array([0.02 * (1 - won), 0.98, 0.02 * won])
    assert coverage(n, np.array([-1.0, 0.0, 1.0]), law) >= 0.93


def test_mcnemar_value():
    # Agresti (2013), table 11.1, as 8 against 1: p = 2 P(X <= 1) = 20 / 512 with X ~ Bin(9, 1/2).
    first, second = [1] * 8 + [0] + [1] * 11, [0] * 8 + [1] + [1] * 11
    test = mcnemar(first, second)
    assert (test.n, test.first_only, test.second_only) == (20, 8, 1)
    assert test.difference == pytest.approx(7 / 20)
    assert test.p == pytest.approx(20 / 512)


def test_sign_flips_approach_mcnemar_on_right_and_wrong():
    first, second = np.repeat([1, 0, 1], [9, 2, 30]), np.repeat([0, 1, 1], [9, 2, 30])
    p = sign_flip_test(first, second, resamples=40_000)
    assert p == pytest.approx(mcnemar(first, second).p, abs=0.008)


def test_sign_flips_agree_with_full_enumeration():
    rng = np.random.default_rng(2)
    first, second = rng.random((2, 10))
    d = first - second
    sums = [abs(np.dot(signs, d)) for signs in itertools.product((-1, 1), repeat=10)]
    exact = np.mean(np.array(sums) >= abs(d.sum()) - 1e-12)
    assert sign_flip_test(first, second, resamples=40_000) == pytest.approx(exact, abs=0.01)


def test_sign_flips_reject_equal_models_at_the_nominal_rate():
    rng = np.random.default_rng(3)
    tables = rng.random((500, 2, 25)) ** 3
    ps = np.array([sign_flip_test(a, b, resamples=199) for a, b in tables])
    assert stats.binomtest(int((ps <= 0.1).sum()), len(ps), 0.1).pvalue > 0.001


def test_sign_flips_are_reproducible():
    first, second = np.random.default_rng(4).random((2, 30))
    assert sign_flip_test(first, second) == sign_flip_test(first, second)
    assert sign_flip_test(first, second) != sign_flip_test(first, second, seed=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: paired_interval([], []),
        lambda: paired_interval([0.5], [0.5, 0.5]),
        lambda: paired_interval([0.5], [1.5]),
        lambda: mcnemar([1, 0], [1]),
        lambda: mcnemar([0.5], [1]),
        lambda: sign_flip_test([2.0], [1.0]),
    ],
)
def test_refuses_bad_input(call):
    with pytest.raises(InvalidArgument, match="expected"):
        call()


def test_the_example_runs():
    result = doctest.testmod(pairs)
    assert result.attempted
    assert not result.failed
