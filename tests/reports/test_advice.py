import numpy as np
import pytest

from rampart.metrics.crossing import disagreement
from rampart.reports.advice import advice

# 90 % clean and 8 % at the end (mean 59.75 %), against 66 and 30 % (mean 50.5 %).
WEAK = np.repeat([0, 1, 2, 3, 4, 5], [100, 70, 170, 250, 330, 80])
STRONG = np.repeat([0, 1, 2, 3, 4, 5], [340, 60, 80, 100, 120, 300])
EPS = np.array([0, 1, 2, 3, 4]) / 255


def test_for_opposite_rankings_the_choice_depends_on_the_strength():
    text = advice(disagreement(WEAK, STRONG, EPS), ("A", "B"))
    for part in ("59.8 against 50.5 %", "8.0 against 30.0 %", "at 4/255", "below 2/255"):
        assert part in text
    assert text.startswith("A leads")
    assert "choose A if" in text
    swapped = advice(disagreement(STRONG, WEAK, EPS), ("B", "A"))
    assert swapped.startswith("A leads")
    assert "59.8 against 50.5 %" in swapped, "the figures of the model that is named first"
    assert "choose A if" in swapped


def test_a_coarse_grid_recommends_nothing_below_a_crossing():
    first, second = np.repeat([0, 1, 3], [10, 60, 30]), np.repeat([0, 1, 3], [20, 30, 50])
    text = advice(disagreement(first, second, EPS[:3]), ("A", "B"))
    assert "choose A if perturbations are absent, B if they exceed 1/255" in text
    assert "do not decide" in text


def test_without_a_crossing_there_is_no_choice_by_strength():
    text = advice(disagreement(np.minimum(STRONG + 1, 5), STRONG, EPS))
    assert text.startswith("The first leads")
    assert "choose" not in text
    assert "equal at every strength" in advice(disagreement(STRONG, STRONG, EPS))


def test_a_difference_that_may_be_chance_is_reported():
    assert "chance" in advice(disagreement(WEAK[::100], STRONG[::100], EPS))
    assert "chance" not in advice(disagreement(WEAK, STRONG, EPS))


def test_strengths_without_gray_levels_are_decimals():
    assert "below 0.5," in advice(disagreement(WEAK, STRONG, np.arange(5) / 4))


@pytest.mark.parametrize("seed", range(30))
def test_advice_is_one_or_two_sentences(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 6))
    grid = np.concatenate([[0.0], np.cumsum(rng.random(n) + 0.01)])
    first, second = rng.integers(0, n + 2, (2, int(rng.integers(1, 30))))
    text = advice(disagreement(first, second, grid))
    assert text.endswith(".")
    assert text.count(". ") <= 1
