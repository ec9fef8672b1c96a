"""The exponential average."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.schedules.smoothing import Average

values = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.001, 3)), min_size=1, max_size=30)


@given(values=values)
def test_is_the_weighted_mean_of_its_values(values):
    average = Average()
    for value, elapsed in values:
        average = average.add(value, elapsed)
    ends = [sum(elapsed for _, elapsed in values[k + 1 :]) for k in range(len(values))]
    weights = [
        math.exp(-end) - math.exp(-end - elapsed)
        for end, (_, elapsed) in zip(ends, values, strict=True)
    ]
    mean = sum(w * value for w, (value, _) in zip(weights, values, strict=True)) / sum(weights)
    assert average.mean == pytest.approx(mean, abs=1e-9)
    assert average.weight == pytest.approx(sum(weights), abs=1e-9)


@given(value=st.floats(-1, 1), parts=st.integers(1, 50))
def test_the_length_of_a_step_does_not_matter(value, parts):
    average = Average()
    for _ in range(parts):
        average = average.add(value, 2 / parts)
    assert average.mean == pytest.approx(value)
    assert average.weight == pytest.approx(Average().add(value, 2).weight)


@pytest.mark.parametrize("parts", [1, 3, 10, 97])
def test_is_full_after_one_time_constant(parts):
    average = Average()
    for _ in range(parts - 1):
        average = average.add(0.5, 1 / parts)
    assert not average.full
    assert average.add(0.5, 1 / parts).full


def test_is_restored_from_plain_values():
    average = Average().add(0.25, 0.5)
    assert Average.of({**average.state(), "other": 1}) == average


def test_a_value_of_no_duration_changes_nothing():
    assert Average().add(1.0, 0.0) == Average()
