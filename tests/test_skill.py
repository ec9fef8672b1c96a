import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.skill import chance_of, clearly_above, skill

#: Ten classes, one of which has 30 % of the samples.
UNEQUAL = [0] * 27 + [1 + i % 9 for i in range(63)]


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_chance_is_the_fraction_of_the_commonest_class(kind):
    assert chance_of(kind([0, 2, 2, 1, 2])) == 0.6
    assert chance_of(kind(UNEQUAL)) == 0.3


@pytest.mark.parametrize("classes", [2, 3, 10, 149])
def test_chance_of_classes_of_the_same_size_is_the_same_number_as_one_in_k(classes):
    assert chance_of(np.arange(70 * classes) % classes) == 1 / classes


def test_chance_needs_labels():
    with pytest.raises(InvalidArgument, match="labels"):
        chance_of([])


@pytest.mark.parametrize(
    ("accuracy", "chance", "expected"),
    [(0.3, 0.3, 0.0), (1.0, 0.3, 1.0), (0.65, 0.3, 0.5), (0.0, 0.5, -1.0), (1.0, 1.0, 0.0)],
)
def test_values_of_skill(accuracy, chance, expected):
    assert skill(accuracy, chance) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(0, 9), min_size=1))
def test_the_best_constant_prediction_has_no_skill(labels):
    best = max(np.mean(np.array(labels) == answer) for answer in range(10))
    assert skill(best, chance_of(labels)) == pytest.approx(0, abs=1e-12)


def test_clearly_above_chance_is_by_three_standard_errors():
    # sqrt(0.1 * 0.9 / 100) = 0.03.
    assert clearly_above(0.191, 0.1, 100)
    assert not clearly_above(0.189, 0.1, 100)
    assert not clearly_above(0.0, 0.0, 1)
