import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rampart.errors import InvalidArgument
from rampart.metrics import intervals
from rampart.metrics.expectation import contributions
from rampart.metrics.intervals import (
    mean_interval,
    paired_test,
    proportion_interval,
    score_interval,
    seeds_interval,
    spread_over_seeds,
)
from rampart.published import published_results

COLUMNS = ("clean", "adversarial", "expected")


def published(table: int, schedule: str, column: str) -> list[float]:
    found = [r for r in published_results() if (r.table, r.schedule) == (table, schedule)]
    found.sort(key=lambda row: (row.backbone, row.dataset))
    return [getattr(row, column) for row in found]


@pytest.mark.parametrize(
    ("table", "column", "t"),
    [(1, c, t) for c, t in zip(COLUMNS, (7.8233, 4.3488, 6.5956), strict=True)]
    + [(2, c, t) for c, t in zip(COLUMNS, (12.3875, 5.4476, 9.2708), strict=True)],
)
def test_reproduces_the_published_t_statistics(table, column, t):
    test = paired_test(published(table, "two-hinge", column), published(table, "fix", column))
    assert test.n == 30
    assert test.t == pytest.approx(t, abs=5e-5)


def test_wilson_value():
    # Newcombe (1998), table I: 81 of 263, Wilson score without correction: 0.2553 to 0.3662.
    interval = proportion_interval(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(case):
    k, n = case
    reference = stats.binomtest(k, n).proportion_ci(0.9, method="wilson")
    interval = proportion_interval(k, n, 0.9)
    assert (interval.low, interval.high) == pytest.approx(tuple(reference), abs=1e-12)
    assert interval.low <= k / n <= interval.high


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_mean_interval_contains_the_mean_and_lies_in_the_unit_interval(values):
    interval = mean_interval(values)
    assert 0 <= interval.low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= interval.high <= 1
    assert interval.low < interval.high or np.ptp(values) < 1e-6


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_interval_of_equal_values_has_a_width(value):
    interval = mean_interval([value] * 20)
    assert 0.08 < interval.high - interval.low < 0.2
    assert interval.low <= value <= interval.high


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
def test_zeros_and_ones_give_wilsons_interval(values):
    interval = mean_interval(values)
    wilson = proportion_interval(int(sum(values)), len(values))
    assert (interval.low, interval.high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_for_many_values_it_equals_students_interval():
    values = np.random.default_rng(4).random(20_000)
    interval, student = mean_interval(values), seeds_interval(values)
    assert (interval.low, interval.high) == pytest.approx((student.low, student.high), abs=2e-6)


GRID = np.arange(9) / 255
SHAPES = {
    "even": np.full(8, 1 / 8),
    "early": 0.5 ** np.arange(8) / sum(0.5 ** np.arange(8)),
    "late": 0.5 ** np.arange(8)[::-1] / sum(0.5 ** np.arange(8)),
}
CONTRIBUTIONS = contributions(np.arange(10), GRID)


def law_of(clean, survive, shape):
    """Probabilities of the critical indices; `survive` of the clean-correct are always robust."""
    return np.array([1 - clean, *(clean * (1 - survive) * SHAPES[shape]), clean * survive])


def coverage(make, n, law, runs=2000, seed=20250923):
    """How often intervals cover the expected robustness, in `runs` evaluations of n samples."""
    counts = np.random.default_rng((seed, n)).multinomial(n, law, size=runs)
    held = 0
    for row in counts:
        interval = make(np.repeat(CONTRIBUTIONS, row))
        held += interval.low <= law @ CONTRIBUTIONS <= interval.high
    return held / runs


#: Samples, clean accuracy, robust fraction of the clean-correct, where the others are critical.
USUAL = [
    (100, 0.95, 0.9, "late"),  # Student's interval covers 92 % here
    (100, 0.5, 0.05, "early"),
    (100, 0.7, 0.3, "even"),
    (300, 0.95, 0.6, "early"),
    (300, 0.6, 0.0, "early"),
    (1000, 0.8, 0.9, "even"),
    (1000, 0.95, 0.3, "late"),
]
ALL = [
    (n, clean, survive, shape)
    for n in (100, 300, 1000)
    for clean in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    for survive in (0.0, 0.05, 0.3, 0.6, 0.9)
    for shape in SHAPES
]


@pytest.mark.parametrize(("n", "clean", "survive", "shape"), USUAL)
def test_interval_of_expected_robustness_covers(n, clean, survive, shape):
    assert 0.93 <= coverage(mean_interval, n, law_of(clean, survive, shape)) <= 0.97


def test_students_interval_covers_too_rarely():
    assert coverage(seeds_interval, 100, law_of(0.95, 0.99, "even")) < 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("n", "clean", "survive", "shape"), ALL)
def test_interval_of_expected_robustness_covers_everywhere(n, clean, survive, shape):
    assert 0.93 <= coverage(mean_interval, n, law_of(clean, survive, shape)) <= 0.97


@pytest.mark.parametrize("n", [100, 300, 1000])
@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
def test_interval_of_accuracy_covers(n, fraction):
    # Exact: the sum of the binomial probabilities of all counts whose interval covers the fraction.
    intervals = [proportion_interval(k, n) for k in range(n + 1)]
    held = [i.low <= fraction <= i.high for i in intervals]
    assert 0.93 <= stats.binom.pmf(np.arange(n + 1), n, fraction)[held].sum() <= 0.97


def test_paired_interval_covers_and_is_narrower_than_unpaired_ones():
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(1000, 50, 1))
    pairs = shared + 0.3 * rng.normal(size=(1000, 50, 2)) + [0.1, 0.0]
    tests = [paired_test(a, b) for a, b in pairs.transpose(0, 2, 1)]
    assert 0.93 <= np.mean([t.low <= 0.1 <= t.high for t in tests]) <= 0.97
    alone = seeds_interval(pairs[0, :, 0])
    assert tests[0].high - tests[0].low < (alone.high - alone.low) / 2


def test_identical_values_differ_by_exactly_zero():
    values = np.random.default_rng(3).random(100)
    test = paired_test(values, values)
    assert (test.difference, test.low, test.high, test.t, test.p) == (0, 0, 0, 0, 1)


def test_a_constant_difference_is_certain():
    test = paired_test([1.0, 2.0], [0.5, 1.5])
    assert (test.difference, test.t, test.p) == (0.5, np.inf, 0)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=20))
def test_swapping_the_pair_changes_the_sign_only(pairs):
    first, second = map(list, zip(*pairs, strict=True))
    test, swapped = paired_test(first, second), paired_test(second, first)
    assert test.difference == -swapped.difference
    assert (test.low, test.p) == (-swapped.high, swapped.p)


def test_seeds_interval_value():
    # Mean 2, s = 1, N = 3, t(0.975; 2) = 4.3027: margin 2.4842.
    interval = seeds_interval([1.0, 2.0, 3.0])
    assert (interval.low, interval.high) == pytest.approx((2 - 2.4842, 2 + 2.4842), abs=1e-4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_the_spread_over_seeds_never_leaves_zero_to_one(values):
    spread = spread_over_seeds(values)
    assert 0 <= spread.low <= spread.high <= 1
    if len(values) < 3:
        assert (spread.low, spread.high) == (min(values), max(values))
    else:
        student = seeds_interval(values)
        assert (spread.low, spread.high) == (max(0, student.low), min(1, student.high))


@pytest.mark.parametrize(
    "call",
    [
        lambda: proportion_interval(3, 2),
        lambda: proportion_interval(0, 0),
        lambda: proportion_interval(1, 2, confidence=95),
        lambda: mean_interval([]),
        lambda: mean_interval([1.5]),
        lambda: mean_interval([np.nan]),
        lambda: score_interval(1.1, 0.0, 3),
        lambda: score_interval(0.5, 0.0, 0),
        lambda: seeds_interval([1.0]),
        lambda: spread_over_seeds([]),
        lambda: spread_over_seeds([30.0, 40.0, 50.0]),
        lambda: paired_test([1.0, 2.0], [1.0, 2.0, 3.0]),
        lambda: paired_test([1.0], [1.0]),
    ],
)
def test_refuses_bad_input(call):
    with pytest.raises(InvalidArgument, match="expected"):
        call()


def test_the_example_runs():
    result = doctest.testmod(intervals, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
