"""A ramp that starts when learning has leveled off."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_adaptive import alphas

from rampart.errors import InvalidArgument
from rampart.schedules.hinge import ramp
from rampart.schedules.plateau import Plateau
from rampart.units import Horizon

HORIZON = Horizon(20, 10)


def rising(speed, top=0.9):
    """Return accuracies that approach `top`, (steps,)."""
    return [top * (1 - (1 - speed) ** step) for step in range(HORIZON.steps)]


def first(found):
    """Return the first step with an attack."""
    return next(step for step, alpha in enumerate(found) if alpha > 0)


@settings(deadline=None)
@example(accuracy=[0.0] * 200, deadline=0.6875, length=0.98)  # A deadline within a step.
@given(
    accuracy=st.lists(st.floats(0, 1), min_size=200, max_size=200),
    deadline=st.floats(0.1, 0.9),
    length=st.floats(0, 0.98),
)
def test_reaches_the_target_whatever_the_signal(accuracy, deadline, length):
    schedule = Plateau(deadline=deadline, ramp=length)
    found = alphas(schedule, accuracy)
    assert all(before <= after for before, after in pairwise(found))
    latest = [
        ramp(step / HORIZON.steps, deadline, deadline + length * (1 - deadline))
        for step in range(HORIZON.steps)
    ]
    assert all(alpha >= bound - 1e-9 for alpha, bound in zip(found, latest, strict=True))
    if schedule.arrival <= 1 - 1 / HORIZON.steps:
        assert found[-1] == 1


def test_starts_sooner_for_a_model_that_learns_sooner():
    schedule = Plateau(deadline=0.8)
    starts = [first(alphas(schedule, rising(speed))) for speed in (0.3, 0.1, 0.05)]
    assert starts == sorted(starts)
    assert starts[0] < starts[-1] < 0.8 * HORIZON.steps


def test_the_ramp_takes_its_fraction_of_the_rest_of_the_run():
    found = alphas(Plateau(ramp=0.5), rising(0.3))
    start = first(found) - 1
    full = found.index(1.0)
    assert full == pytest.approx(start + (HORIZON.steps - start) / 2, abs=1)
    assert found[start : full + 1] == pytest.approx(
        [(step - start) / (full - start) for step in range(start, full + 1)], abs=0.02
    )


def test_a_model_at_chance_has_not_leveled_off():
    found = alphas(Plateau(deadline=0.5), [0.01] * HORIZON.steps)
    assert first(found) == pytest.approx(0.5 * HORIZON.steps, abs=2)


def test_a_started_ramp_ignores_later_accuracies():
    found = alphas(Plateau(), [*rising(0.3)[:80], *[0.0] * 120])
    assert found == alphas(Plateau(), [*rising(0.3)[:80], *rising(0.3)[80:]])
    assert first(found) < 80


def test_starts_at_the_strength_that_the_backbone_withstands():
    found = alphas(Plateau(deadline=0.5), [0.0] * HORIZON.steps, start=0.6)
    assert set(found[:100]) == {0.6}
    assert found[101:150] == pytest.approx([0.6 + 0.4 * k / 50 for k in range(1, 50)], abs=0.01)
    assert found[-1] == 1


def test_a_robust_backbone_needs_no_ramp():
    assert set(alphas(Plateau(), [0.0] * 50, start=1.0)) == {1.0}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"tolerance": -0.1}, "tolerance"),
        ({"window": 0.0}, "window"),
        ({"window": 0.4, "deadline": 0.3}, "window"),
        ({"ramp": 1.2}, "ramp"),
        ({"ramp": 1.0}, "ramp"),
        ({"deadline": 1.0}, "deadline"),
    ],
)
def test_contradictory_options_are_refused(options, name):
    with pytest.raises(InvalidArgument, match=f"schedule.{name}"):
        Plateau(**options)
