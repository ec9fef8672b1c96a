import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.metrics import classes
from rampart.metrics.classes import class_means, worst_class
from rampart.metrics.intervals import mean_interval, proportion_interval

samples = st.lists(st.tuples(st.floats(0, 1), st.integers(-1, 4)), min_size=1, max_size=40)


@given(samples)
def test_each_class_is_evaluated_on_its_own(rows):
    values, labels = map(np.array, zip(*rows, strict=True))
    table = class_means(values, labels)
    assert table.labels.tolist() == sorted(set(labels.tolist()))
    assert table.counts.sum() == len(rows)
    assert table.counts @ table.means / len(rows) == pytest.approx(values.mean())
    for k, label in enumerate(table.labels):
        alone = mean_interval(values[labels == label])
        assert (table.low[k], table.high[k]) == (alone.low, alone.high)


@given(samples)
def test_intervals_that_cover_together_are_wider(rows):
    values, labels = map(np.array, zip(*rows, strict=True))
    alone, together = class_means(values, labels), class_means(values, labels, together=True)
    assert (together.low <= alone.low + 1e-12).all()
    assert (together.high >= alone.high - 1e-12).all()
    worst = worst_class(values, labels)
    assert worst.mean == alone.means.min()
    assert worst.own.low - 1e-12 <= worst.mean <= worst.own.high + 1e-12
    assert worst.lowest.low - 1e-12 <= worst.mean <= worst.lowest.high + 1e-12


def test_sidaks_confidence_for_two_classes():
    labels = np.repeat([0, 1], 50)
    table = class_means(labels, labels, together=True)
    assert table.low[1] == pytest.approx(proportion_interval(50, 50, np.sqrt(0.95)).low)
    assert table.mean == 0.5


def test_the_worst_class_is_the_first_of_equals_which_are_counted():
    worst = worst_class([0, 1, 0, 1, 1, 1], [7, 7, 3, 3, 5, 5])
    assert (worst.label, worst.count, worst.mean) == (3, 2, 0.5)
    assert (worst.ties, worst.classes) == (2, 3)
    assert worst_class([0, 1, 1], [0, 1, 2]).ties == 1


def test_rounding_does_not_break_a_tie():
    values = [0.1, 0.2, 0.3, 0.3, 0.2, 0.1]
    assert sum(values[:3]) != sum(values[3:])
    worst = worst_class(values, [0, 0, 0, 1, 1, 1])
    assert worst.ties == worst.classes == 2


@pytest.mark.parametrize("truth", [np.full(10, 0.7), np.linspace(0.65, 0.9, 10)])
def test_the_interval_of_the_worst_class_covers_despite_the_selection(truth):
    rng, runs, n = np.random.default_rng(0), 1000, 50
    labels = np.repeat(np.arange(10), n)
    picked, own, lowest = [], [], []
    for _ in range(runs):
        right = rng.random(10 * n) < truth[labels]
        worst = worst_class(right, labels)
        alone = mean_interval(right[labels == worst.label])
        picked.append(alone.low <= truth[worst.label] <= alone.high)
        own.append(worst.own.low <= truth[worst.label] <= worst.own.high)
        lowest.append(worst.lowest.low <= truth.min() <= worst.lowest.high)
    assert np.mean(own) >= 0.93
    assert np.mean(lowest) >= 0.93
    if np.ptp(truth) == 0:
        # The winner's curse: the interval that ignores the choice fails.
        assert np.mean(picked) < 0.85


@pytest.mark.parametrize(
    "call",
    [
        lambda: class_means([], np.array([], dtype=int)),
        lambda: class_means([0.5], [0, 1]),
        lambda: class_means([0.5], [0.0]),
        lambda: class_means([1.5], [0]),
        lambda: worst_class([0.5], [0], confidence=1.0),
    ],
)
def test_refuses_bad_input(call):
    with pytest.raises(InvalidArgument, match="expected"):
        call()


def test_the_example_runs():
    result = doctest.testmod(classes)
    assert result.attempted
    assert not result.failed
