import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.skill import chance_of
from rampart.training.pilot_verdict import Pilot

FRACTIONS = st.floats(0, 1)


@pytest.mark.parametrize(
    ("clean", "standard", "passed"),
    [
        # Measured on the embedded task after 3 of 15 epochs: adversarial training at 20/255 and
        # 10/255, TRADES 1 at 20/255 and 10/255, TRADES 6 at both.
        (0.01, 0.30, False),
        (0.05, 0.34, False),
        (0.19, 0.34, True),
        (0.33, 0.30, True),
        (0.06, 0.30, False),
        (0.21, 0.30, True),
    ],
)
def test_a_run_that_the_attack_delays_fails_the_pilot(clean, standard, passed):
    assert Pilot(3, clean, standard, 0.01).passed == passed


def test_skill_is_accuracy_beyond_chance():
    assert Pilot(1, 0.6, 0.7, 0.5).skill_ratio == pytest.approx(0.5)
    assert Pilot(1, 0.4, 0.7, 0.5).skill_ratio == 0
    assert Pilot(1, 0.64, 0.65, 0.5).decided
    assert not Pilot(1, 0.5, 0.64, 0.5).decided


def test_a_copy_that_always_predicts_the_commonest_class_has_learned_nothing():
    chance = chance_of([0] * 27 + [1 + i % 9 for i in range(63)])
    assert not Pilot(1, 0.3, 0.3, chance).telling
    assert Pilot(1, 0.3, 0.3, 1 / 10).telling, "that this chance would be wrong"


@pytest.mark.parametrize("standard", [0.0, 0.2, 0.27])
def test_a_pilot_without_a_comparison_fails(standard):
    assert not Pilot(3, 0.9, standard, 0.2).passed


@given(clean=FRACTIONS, standard=FRACTIONS, chance=st.floats(0.01, 1))
def test_a_better_run_never_fails_where_a_worse_one_passes(clean, standard, chance):
    passed = [Pilot(1, fraction * clean, standard, chance).passed for fraction in (0.25, 0.5, 1.0)]
    assert all(before <= after for before, after in pairwise(passed))


@pytest.mark.parametrize(
    ("pilot", "verdict"),
    [
        (Pilot(1, 0.2, 0.3, 0.01), "after 1 epoch .* without a ramp"),
        (Pilot(3, 0.01, 0.3, 0.01), "after 3 epochs .* 1.0 % .* 30.0 %.* with a ramp"),
        (Pilot(3, 0.01, 0.02, 0.01), "too little .* with a ramp"),
    ],
)
def test_the_verdict_has_the_figures_and_the_decision(pilot, verdict):
    assert re.search(verdict, pilot.verdict)


@pytest.mark.parametrize(
    ("clean", "standard", "images", "decided", "passed"),
    [
        (0.01, 0.3, 1000, True, False),
        (0.25, 0.3, 1000, True, True),
        (0.11, 0.3, 1000, False, False),
        (0.02, 0.15, 20, False, False),
        (0.5, 0.6, 20, True, True),
        (0.05, 0.05, 5000, False, False),
        (0.0, 1.0, 50, True, False),
    ],
)
def test_a_certain_verdict_needs_images_and_in_doubt_the_ramp_stays(
    clean, standard, images, decided, passed
):
    pilot = Pilot(1, clean, standard, 0.01, images, "certain")
    assert (pilot.decided, pilot.passed) == (decided, passed)
    assert ("continuing without" in pilot.verdict) == passed


def test_the_error_is_that_of_two_independent_fractions():
    """Simulated: the distance from the limit varies over draws of images as `errors` says."""
    rng = np.random.default_rng(0)
    clean, standard = (rng.binomial(400, p, 4000) / 400 for p in (0.3, 0.7))
    distances = (clean - standard / 3) / np.std(clean - standard / 3)
    found = [
        Pilot(1, a, b, 0.0, 400, "certain").errors
        for a, b in zip(clean[:50], standard[:50], strict=True)
    ]
    np.testing.assert_allclose(found, distances[:50], rtol=0.1, atol=0.2)


@pytest.mark.parametrize(
    ("epoch", "clean", "behind"),
    [
        # Standard fine-tuning has 60 % of 200 images after 2 epochs, so half of it are 30 %; two
        # standard errors of the difference are 7 points there.
        (4, 0.22, True),
        (4, 0.25, False),
        (4, 0.5, False),
        (3, 0.1, False),
        (5, 0.1, False),
    ],
)
def test_a_run_that_has_passed_is_looked_at_once_more(epoch, clean, behind):
    passed = Pilot(2, 0.5, 0.6, 0.01, 200, "certain")
    assert passed.passed
    assert passed.falls_behind(epoch, clean) == behind
    assert not Pilot(2, 0.5, 0.6, 0.01, 200, "learned").falls_behind(epoch, clean)
    failed = Pilot(2, 0.05, 0.6, 0.01, 200, "certain")
    assert not failed.falls_behind(epoch, clean)
    alert = passed.late_alert(epoch, clean)
    assert alert.code == "fell-behind"
    assert "60.0 %" in alert.message


def test_a_robust_run_does_not_fall_behind_where_standard_fine_tuning_has_levelled_off():
    passed = Pilot(1, 0.7, 0.95, 0.1, 500, "certain")
    assert passed.passed
    assert not any(passed.falls_behind(2, clean) for clean in (0.6, 0.7, 0.8, 0.9))
