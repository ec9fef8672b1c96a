import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.metrics import planning
from rampart.metrics.intervals import mean_interval, proportion_interval, score_interval
from rampart.metrics.pairs import paired_interval
from rampart.metrics.planning import pairs_needed, samples_needed


def width(interval):
    return interval.high - interval.low


@given(st.floats(0.005, 0.5), st.floats(0, 1), st.floats(0, 1))
def test_is_the_least_sufficient_number(half_width, mean, fraction):
    deviation = fraction * np.sqrt(mean * (1 - mean))
    n = samples_needed(half_width, mean, deviation)
    assert width(score_interval(mean, deviation, n)) / 2 <= half_width
    assert n == 1 or width(score_interval(mean, deviation, n - 1)) / 2 > half_width


def test_an_accuracy_of_one_half_is_the_worst_case():
    n = samples_needed(0.03)
    assert all(width(proportion_interval(k, n)) <= 0.06 for k in range(n + 1))
    assert width(proportion_interval((n - 2) // 2, n - 2)) > 0.06


def test_approaches_the_rule_of_thumb():
    assert samples_needed(0.001, 0.3, 0.2) == pytest.approx((1.959964 * 0.2 / 0.001) ** 2, rel=0.01)
    assert pairs_needed(0.001, 0.1, 0.1) == pytest.approx(1.959964**2 * 0.09 / 0.001**2, rel=0.01)


def test_a_small_evaluation_predicts_the_width():
    rng = np.random.default_rng(0)

    def evaluate(n):
        return rng.choice([0.0, 0.3, 0.7, 1.0], p=[0.2, 0.2, 0.2, 0.4], size=n)

    pilot = evaluate(200)
    n = samples_needed(0.02, pilot.mean(), pilot.std())
    assert n < samples_needed(0.02, pilot.mean())
    assert width(mean_interval(evaluate(n))) == pytest.approx(0.04, rel=0.15)


def test_pairs_give_the_planned_width():
    rng = np.random.default_rng(1)
    n = pairs_needed(0.02, discordance=0.1, difference=0.04)
    kinds = rng.choice([-1, 0, 1], p=[0.03, 0.9, 0.07], size=n)
    found = width(paired_interval(kinds > 0, kinds < 0))
    assert found == pytest.approx(0.04, rel=0.1)


def test_pairing_needs_fewer_samples():
    assert pairs_needed(0.02, discordance=0.1) < samples_needed(0.02) / 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: samples_needed(0),
        lambda: samples_needed(np.nan),
        lambda: samples_needed(0.02, mean=90),
        lambda: samples_needed(0.02, mean=0.9, deviation=0.5),
        lambda: samples_needed(0.02, confidence=95),
        lambda: pairs_needed(0.02, discordance=0.01, difference=0.2),
        lambda: pairs_needed(0.02, discordance=1.2),
    ],
)
def test_refuses_bad_input(call):
    with pytest.raises(InvalidArgument, match="expected"):
        call()


def test_the_examples_run():
    result = doctest.testmod(planning)
    assert result.attempted
    assert not result.failed
