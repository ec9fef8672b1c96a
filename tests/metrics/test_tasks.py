import numpy as np
import pytest
from scipy import stats

from rampart.errors import InvalidArgument
from rampart.metrics.tasks import bootstrap_mean, compare_over_tasks, correlation

RNG = np.random.default_rng(3)
FIRST, SECOND = RNG.uniform(size=(2, 12))


def test_agrees_with_scipy():
    found = compare_over_tasks(FIRST, SECOND)
    student = stats.ttest_rel(FIRST, SECOND)
    assert (found.student.t, found.student.p) == pytest.approx((student.statistic, student.pvalue))
    rank = stats.wilcoxon(FIRST, SECOND)
    assert (found.rank_sum, found.rank_p) == pytest.approx((rank.statistic, rank.pvalue))


def test_the_bootstrap_agrees_with_scipys():
    reference = stats.bootstrap(
        (FIRST - SECOND,), np.mean, method="percentile", n_resamples=20_000, random_state=RNG
    ).confidence_interval
    found = compare_over_tasks(FIRST, SECOND).bootstrap
    assert (found.low, found.high) == pytest.approx(tuple(reference), abs=0.01)
    assert found == compare_over_tasks(FIRST, SECOND).bootstrap


def test_equal_methods_differ_by_nothing():
    found = compare_over_tasks(FIRST, FIRST)
    assert (found.student.t, found.rank_p) == (0, 1)
    assert (found.bootstrap.low, found.bootstrap.high) == (0, 0)


def test_wilcoxon_of_few_pairs_is_exact():
    # All five differences are positive: p = 2 / 2^5.
    assert compare_over_tasks([1, 2, 3, 4, 5], [0] * 5).rank_p == pytest.approx(2 / 32)


def test_the_bootstrap_covers_as_often_as_it_says():
    inside = 0
    for seed in range(300):
        values = np.random.default_rng(seed).normal(size=30)
        interval = bootstrap_mean(values, seed=seed, resamples=500)
        inside += interval.low <= 0 <= interval.high
    assert 0.90 <= inside / 300 <= 0.97


def test_correlation():
    assert correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert correlation(FIRST, SECOND) == pytest.approx(stats.pearsonr(FIRST, SECOND).statistic)
    assert correlation([1, 2], [2, 1]) is None
    assert correlation([1, 1, 1], [2, 1, 3]) is None


def test_needs_pairs():
    with pytest.raises(InvalidArgument, match="first"):
        compare_over_tasks([1], [2])
    with pytest.raises(InvalidArgument, match="second"):
        compare_over_tasks([1, 2], [2])
