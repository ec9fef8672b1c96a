"""The choice between two models."""

import pytest

from rampart.errors import InvalidArgument
from rampart.recipes.choosing import Between, choose


def rows(*figures):
    """Return models at the fractions 0, 0.1, ... from (clean, adversarial, expected)."""
    return [Between(step / 10, *one) for step, one in enumerate(figures)]


CASES = {
    "most clean accuracy": (rows((0.80, 0.50, 0.6), (0.82, 0.50, 0.5), (0.81, 0.6, 0.9)), 0.1),
    "a drop of 0.09 points": (rows((0.80, 0.50, 0.6), (0.82, 0.4991, 0.5)), 0.1),
    "a drop of 0.1 points": (rows((0.80, 0.50, 0.6), (0.82, 0.499, 0.7)), 0.0),
    "a gain of robustness": (rows((0.80, 0.50, 0.6), (0.82, 0.70, 0.5)), 0.1),
    "equal clean accuracy": (rows((0.80, 0.50, 0.6), (0.80, 0.51, 0.6), (0.80, 0.51, 0.9)), 0.1),
    "nothing gained": (rows((0.80, 0.50, 0.6), (0.80, 0.50, 0.6)), 0.0),
    "all lose": (rows((0.80, 0.50, 0.6), (0.90, 0.1, 0.6)), 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_the_published_rule(case):
    found, fraction = CASES[case]
    assert choose(found, "clean").fraction == fraction
    assert choose(reversed(found), "clean").fraction == fraction, "the order does not matter"


def test_by_expected_robustness():
    found = rows((0.9, 0.5, 0.6), (0.8, 0.1, 0.7), (0.8, 0.1, 0.7))
    assert choose(found).fraction == 0.1


def test_the_published_rule_needs_the_first_model():
    with pytest.raises(InvalidArgument, match="fractions"):
        choose(rows((0.9, 0.5, 0.6), (0.8, 0.1, 0.7))[1:], "clean")
