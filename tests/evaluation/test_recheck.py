"""The recheck excludes errors of the stated size: by simulation, whatever the wrong images are."""

import numpy as np
import pytest
from scipy import stats
from test_escalation import GRID

from rampart.attacks.catalogue import ATTACKS
from rampart.evaluation.recheck import (
    CHANCES,
    CONFIDENCE,
    FEWEST,
    LARGEST,
    Plan,
    default_error,
)
from rampart.evaluation.results import Results
from rampart.metrics.expectation import contributions


def gave_up(critical: np.ndarray) -> Results:
    """Results in which every image that some strength does not break has given runs up."""
    n = len(critical)
    found = (critical > 0) & (critical < len(GRID))
    return Results(
        indices=np.arange(n),
        labels=np.zeros(n, int),
        predictions=(critical == 0).astype(int),
        attacked_predictions=(critical < len(GRID)).astype(int),
        finite=np.ones(n, bool),
        critical=critical,
        distance=np.where(found, 0.01, np.nan),
        stage=np.where(found, 0, -1),
        run=np.where(found, 0, -1),
        forwards=np.ones(n, int),
        backwards=np.zeros(n, int),
        pruned=(critical > 1).astype(int),
        rechecked=np.zeros(n, bool),
        before_recheck=critical,
    )


def accepts(plan: Plan, fast: Results, wrong: np.ndarray, seed: int) -> bool:
    """Whether a look accepts fast mode although these images are wrong and some stay so."""
    for allowed, drawn in enumerate(plan.draws(fast, GRID, seed)):
        if (fast.pruned > 0)[~drawn].sum() == 0:
            return False
        if (drawn & wrong).sum() <= allowed:
            return True
    return False


@pytest.mark.parametrize("kind", ["robust", "any", "weak"])
def test_an_error_above_the_size_is_accepted_at_most_as_rarely_as_stated(kind):
    """An error just above the size, made of images that are robust, drawn at random, or weak."""
    rng = np.random.default_rng(0)
    n, size = 400, 0.1
    critical = rng.choice([0, 1, 2, 3, 4, 5], n, p=[0.2, 0.1, 0.15, 0.15, 0.15, 0.25])
    fast, plan = gave_up(critical), Plan(n, size)
    value = contributions(critical, GRID)
    key = {"robust": -value, "any": rng.random(n), "weak": value}[kind]
    order = np.argsort(np.where(critical > 1, key, np.inf), kind="stable")
    # Each of them is broken by every strength in truth.
    wrong = np.zeros(n, bool)
    wrong[order[: np.searchsorted(value[order].cumsum(), size * n) + 1]] = True
    assert size <= value[wrong].sum() / n < size + 0.01
    accepted = np.mean([accepts(plan, fast, wrong, seed) for seed in range(400)])
    # Two standard deviations above 5 %.
    assert accepted <= 1 - CONFIDENCE + 2 * np.sqrt(0.05 * 0.95 / 400)
    # Where no image is wrong, the first look accepts.
    right = np.mean([accepts(plan, fast, wrong & False, seed) for seed in range(20)])
    assert right == 1


def test_rates_solve_the_binomial_equation():
    plan = Plan(200, 0.07)
    assert len(plan.rates) == len(CHANCES)
    for allowed, (rate, chance) in enumerate(zip(plan.rates, CHANCES, strict=True)):
        assert stats.binom.cdf(allowed, 14, 1 - np.exp(-rate)) == pytest.approx(chance)
    assert plan.rates == sorted(plan.rates)
    assert sum(CHANCES) == pytest.approx(1 - CONFIDENCE)
    assert Plan(10, 0.05).rates == []


def test_a_draw_depends_on_the_image_and_the_seed_only():
    critical = np.full(300, 5)
    fast, plan = gave_up(critical), Plan(300, 0.1)
    first = next(plan.draws(fast, GRID, 0))
    reverse = next(plan.draws(fast.select(np.arange(300)[::-1]), GRID, 0))
    np.testing.assert_array_equal(first, reverse[::-1])
    assert (first != next(plan.draws(fast, GRID, 1))).any()
    part = fast.select(np.arange(0, 300, 2))
    np.testing.assert_array_equal(next(plan.draws(part, GRID, 0)), first[::2])


def test_images_are_drawn_in_proportion_to_what_they_contribute():
    """At least as often for weak images, because the fewest images are drawn in any case."""
    critical = np.repeat([2, 5], 500)
    plan = Plan(1000, 0.1)
    drawn = np.mean([next(plan.draws(gave_up(critical), GRID, seed)) for seed in range(60)], axis=0)
    expected = 1 - np.exp(-plan.rates[0] * contributions([2, 5], GRID))
    assert drawn[:500].mean() == pytest.approx(expected[0], rel=0.1)
    assert drawn[500:].mean() == pytest.approx(expected[1], rel=0.1)


def test_later_looks_contain_earlier_ones_and_more_than_half_is_all():
    plan = Plan(400, 0.1)
    draws = list(plan.draws(gave_up(np.full(400, 5)), GRID, 0))
    assert len(draws) == 3
    assert (draws[0] <= draws[1]).all()
    assert (draws[1] <= draws[2]).all()
    few = gave_up(np.repeat([0, 5], [390, 10]))
    (every,) = plan.draws(few, GRID, 0)
    np.testing.assert_array_equal(every, few.pruned > 0)
    some = gave_up(np.repeat([0, 2], [360, 40]))
    assert next(plan.draws(some, GRID, 0)).sum() >= FEWEST


def test_the_default_error_follows_from_the_number_of_images():
    assert default_error(200) == 0.1
    assert default_error(20_000) == 0.01
    assert default_error(1) == default_error(0) == LARGEST
    errors = [default_error(n) for n in range(500)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize(
    ("name", "options", "n", "pays"),
    [
        ("apgd", {"steps": 10}, 10_000, False),
        ("short", {}, 200, True),
        ("short", {"steps": 40}, 200, False),
        ("standard", {}, 48, True),
        ("standard", {}, 12, False),
    ],
)
def test_pruning_pays_unless_images_are_few_or_runs_short(name, options, n, pays):
    stages = ATTACKS.build(name, options).stages()
    assert Plan(n, default_error(n)).pays(stages) == pays
