import numpy as np
import pytest

from rampart.metrics.crossing import disagreement
from rampart.reports.advice import advice

# 90 % clean and 8 % at the end (mean 59.75 %), against 66 and 30 % (mean 50.5 %).
WEAK = np.repeat([0, 1, 2, 3, 4, 5], [100, 70, 170, 250, 330, 80])
STRONG = np.repeat([0, 1, 2, 3, 4, 5], [340, 60, 80, 100, 120, 300])
EPS = np.array([0, 1, 2, 3, 4]) / 255
LINES = "By straight lines between the strengths, "


def test_for_opposite_rankings_the_choice_depends_on_the_strength():
    text = advice(disagreement(WEAK, STRONG, EPS), ("A", "B")).removeprefix(LINES)
    for part in ("59.8 against 50.5 %", "8.0 against 30.0 %", "at 4/255", "below 2/255"):
        assert part in text
    assert text.startswith("A leads")
    assert "choose A if" in text
    swapped = advice(disagreement(STRONG, WEAK, EPS), ("B", "A")).removeprefix(LINES)
    assert swapped.startswith("A leads")
    assert "59.8 against 50.5 %" in swapped, "the figures of the model that is named first"
    assert "choose A if" in swapped


def test_a_coarse_grid_recommends_nothing_below_a_crossing():
    first, second = np.repeat([0, 1, 3], [10, 60, 30]), np.repeat([0, 1, 3], [20, 30, 50])
    text = advice(disagreement(first, second, EPS[:3]), ("A", "B"))
    assert "choose A if perturbations are absent, B if they exceed 1/255" in text
    assert "do not decide" in text


def test_without_a_crossing_there_is_no_choice_by_strength():
    text = advice(disagreement(np.minimum(STRONG + 2, 5), STRONG, EPS))
    assert text.startswith("The first leads")
    assert "choose" not in text
    assert "equal at every strength" in advice(disagreement(STRONG, STRONG, EPS))


def test_a_difference_that_may_be_chance_is_reported():
    assert "chance" in advice(disagreement(WEAK[::100], STRONG[::100], EPS))
    assert "chance" not in advice(disagreement(WEAK, STRONG, EPS))


def test_a_lead_that_rests_on_straight_lines_is_undecided_by_the_grid():
    found = disagreement(WEAK, STRONG, EPS)
    assert found.lead.verdict == "grid"
    text = advice(found, ("A", "B"), EPS.tolist())
    assert text.startswith(LINES)
    assert "undecided by the grid" in text
    # The lead is 9.25 points, and bounds on both sides of it are 14.75 away.
    assert text.endswith("2 times as many strengths, 0.5/255 apart, by evaluation.resolution=2.")


def test_the_strengths_that_are_advised_decide():
    """The same samples on a grid with twice as many strengths."""
    rng = np.random.default_rng(4)
    halves = [2 * c - rng.integers(2, size=c.shape) for c in (WEAK, STRONG)]
    weak, strong = (
        np.select([c == 0, c == 5], [0, 9], fine)
        for c, fine in zip((WEAK, STRONG), halves, strict=True)
    )
    found = disagreement(weak, strong, np.arange(9) / 2 / 255)
    assert found.lead.verdict == "decided"
    assert "undecided" not in advice(found)


def test_strengths_without_gray_levels_are_decimals():
    assert "below 0.5," in advice(disagreement(WEAK, STRONG, np.arange(5) / 4))


@pytest.mark.parametrize("seed", range(30))
def test_advice_is_one_to_three_sentences(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 6))
    grid = np.concatenate([[0.0], np.cumsum(rng.random(n) + 0.01)])
    first, second = rng.integers(0, n + 2, (2, int(rng.integers(1, 30))))
    text = advice(disagreement(first, second, grid))
    assert text.endswith(".")
    assert text.count(". ") <= 2
