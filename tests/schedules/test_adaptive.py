"""The schedule that waits for the model, and reaches eps_g by its deadline."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import InvalidArgument, UnknownName
from rampart.schedules.adaptive import Adaptive, longest_pilot
from rampart.schedules.hinge import ramp
from rampart.schedules.plateau import Plateau
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.skill import chance_of
from rampart.units import Horizon

HORIZON = Horizon(20, 10)


def alphas(schedule, accuracy, horizon=HORIZON, chance=0.01, start=0.0, interval="step"):
    """Return alpha at every step, for accuracies (steps,) on the batches."""
    scheduler = EpsilonScheduler(schedule, 8 / 255, horizon, interval, chance=chance)
    if start:
        scheduler.start_at(start)
    found = []
    for fraction in accuracy:
        found.append(scheduler.alpha)
        scheduler.step(fraction)
    return found


@st.composite
def schedules(draw):
    deadline = draw(st.floats(0.05, 0.99))
    return Adaptive(
        min_skill=draw(st.floats(0, 1)),
        ramp=draw(st.floats(0.01, 1)) * deadline,
        memory=draw(st.floats(0.01, 0.99)) * deadline,
        start=draw(st.floats(0, 1)) * deadline,
        deadline=deadline,
    )


@settings(deadline=None)
@given(
    schedule=schedules(),
    accuracy=st.lists(st.floats(0, 1), min_size=200, max_size=200),
    start=st.floats(0, 1),
)
def test_reaches_the_target_by_the_deadline_whatever_the_signal(schedule, accuracy, start):
    found = alphas(schedule, accuracy, start=start)
    assert all(before <= after for before, after in pairwise(found))
    for step, alpha in enumerate(found):
        fraction = step / HORIZON.steps
        assert alpha >= ramp(fraction - 1e-9, schedule.start, schedule.deadline) - 1e-9
        assert alpha <= start + fraction / schedule.ramp + 1e-9
        if fraction >= schedule.deadline + 1e-9:
            assert alpha == 1


def adverse(scheduler_alpha: float) -> float:
    """Return 1 without an attack and 0 under any attack."""
    return float(scheduler_alpha == 0)


def test_reaches_the_target_for_a_model_that_fails_under_any_attack():
    scheduler = EpsilonScheduler(Adaptive(), 8 / 255, HORIZON, chance=0.01)
    for _ in range(HORIZON.steps):
        scheduler.step(adverse(scheduler.alpha))
        if scheduler.position >= 0.75 * HORIZON.epochs:
            assert scheduler.alpha == 1


def test_is_the_two_hinge_ramp_for_a_model_that_learns_nothing():
    found = alphas(Adaptive(), [0.01] * HORIZON.steps)
    expected = [ramp(step / HORIZON.steps, 0.25, 0.75) for step in range(HORIZON.steps)]
    assert found == pytest.approx(expected)


def test_is_the_shortest_ramp_for_a_model_that_keeps_up():
    schedule = Adaptive(ramp=0.2, memory=0.005)
    found = alphas(schedule, [0.9] * HORIZON.steps)
    expected = [min(1, step / HORIZON.steps / 0.2) for step in range(HORIZON.steps)]
    assert found == pytest.approx(expected)


def test_waits_while_the_skill_is_small_and_continues_from_there():
    schedule = Adaptive(ramp=0.2, memory=0.005, start=0.9, deadline=0.99)
    found = alphas(schedule, [0.9] * 20 + [0.05] * 60 + [0.9] * 120)
    assert found[20] == pytest.approx(0.5)
    # The average covers two batches, so it falls and rises with a delay.
    assert len(set(found[25:80])) == 1
    assert found[80] < 0.65
    assert found[-1] == 1


def test_accuracy_at_chance_starts_no_ramp():
    schedule = Adaptive(min_skill=0.3, start=0.9, deadline=0.99)
    assert max(alphas(schedule, [0.5] * 150, chance=0.5)) == 0
    assert max(alphas(schedule, [0.5] * 150, chance=0.01)) == 1


@pytest.mark.parametrize("schedule", [Adaptive(start=0.6), Plateau(deadline=0.6)])
def test_a_constant_answer_starts_no_ramp_with_unequal_classes(schedule):
    labels = [0] * 27 + [1 + i % 9 for i in range(63)]
    collapsed, until = [0.3] * HORIZON.steps, int(0.6 * HORIZON.steps)
    found = alphas(schedule, collapsed, chance=chance_of(labels))[:until]
    assert max(found) == 0
    ten_of_the_same_size = alphas(schedule, collapsed, chance=1 / 10)[:until]
    assert max(ten_of_the_same_size) > 0.9, "that this chance would be wrong"


@pytest.mark.parametrize("parts", [(20, 10), (20, 100), (200, 1)])
def test_the_number_of_steps_does_not_matter(parts):
    horizon = Horizon(*parts)
    rising = [min(1, 2 * step / horizon.steps) for step in range(horizon.steps)]
    found = alphas(Adaptive(min_skill=0.5, memory=0.05), rising, horizon)
    few = alphas(Adaptive(min_skill=0.5, memory=0.05), [min(1, step / 100) for step in range(200)])
    every = horizon.steps // 200
    assert found[::every] == pytest.approx(few, abs=0.04)


def test_starts_at_the_strength_that_the_backbone_withstands():
    assert alphas(Adaptive(), [0.0] * 10, start=0.6)[:3] == [0.6, 0.6, 0.6]
    assert set(alphas(Adaptive(), [0.0] * 10, start=1.0)) == {1.0}


def test_per_epoch_the_strength_stays_within_an_epoch():
    found = alphas(Adaptive(ramp=0.2), [0.9] * HORIZON.steps, interval="epoch")
    assert all(len(set(found[k : k + 10])) == 1 for k in range(0, HORIZON.steps, 10))
    assert found[-1] == 1


@pytest.mark.parametrize("schedule", [Adaptive(), Plateau()])
@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("parts", [(1, 1), (1, 100), (2, 2), (3, 10), (4, 1), (20, 5)])
def test_a_run_that_may_end_below_the_target_warns(schedule, interval, parts):
    horizon = Horizon(*parts)
    scheduler = EpsilonScheduler(schedule, 8 / 255, horizon, interval, chance=0.01)
    late = any("eps_g" in warning for warning in scheduler.warnings())
    found = alphas(schedule, [0.0] * horizon.steps, horizon, interval=interval)
    assert late == (found[-1] < 1)


def test_a_run_too_short_for_its_pilot_warns():
    assert not Adaptive().warnings(Horizon(5, 10))
    assert not Adaptive(pilot=0).warnings(Horizon(4, 10))
    (warning,) = Adaptive().warnings(Horizon(4, 10))
    assert "schedule.pilot=0.2 x 4 epochs" in warning
    (warning,) = Adaptive(pilot=1.0).warnings(Horizon(1, 10))
    assert "schedule.pilot" in warning


def test_reports_its_decisions():
    scheduler = EpsilonScheduler(Adaptive(memory=0.005), 8 / 255, HORIZON, chance=0.01)
    decisions = []
    for step in range(HORIZON.steps):
        scheduler.step(0.9 if step < 10 else 0.0)
        decisions.append(scheduler.decision)
    assert decisions[0] == "rise"
    assert decisions[30] == "wait"
    assert decisions[int(0.7 * HORIZON.steps)] == "force"
    assert decisions[-1] == "hold"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"min_skill": 1.5}, "min_skill"),
        ({"ramp": 0.9}, "ramp"),
        ({"ramp": 0.0}, "ramp"),
        ({"memory": 0.0}, "memory"),
        ({"memory": 0.75}, "memory"),
        ({"start": 0.5, "deadline": 0.4}, "deadline"),
        ({"deadline": 1.2}, "deadline"),
        ({"deadline": 1.0}, "deadline"),
    ],
)
def test_contradictory_options_are_refused(options, name):
    with pytest.raises(InvalidArgument, match=f"schedule.{name}"):
        Adaptive(**options)


@pytest.mark.parametrize("name", ["pilot_stop", "pilot_restart"])
def test_other_words_are_refused(name):
    with pytest.raises(UnknownName, match=f"{name}.*long"):
        Adaptive(**{name: "long"})


def ends_after(schedule, epochs, accuracy=0.9):
    """Return the fraction of the run at which alpha is 1, after so many epochs of the baseline."""
    scheduler = EpsilonScheduler(schedule, 8 / 255, HORIZON, chance=0.01)
    scheduler.start_after(epochs * HORIZON.steps_per_epoch)
    while scheduler.alpha < 1:
        scheduler.step(accuracy)
    return scheduler.steps_done / HORIZON.steps


@pytest.mark.parametrize(
    ("epochs", "end"), [(1, 0.2), (2, 0.2), (3, 0.2), (4, 0.25), (5, 0.3), (0, 0.2)]
)
def test_the_epochs_of_the_clean_baseline_are_a_part_of_the_ramp(epochs, end):
    # One step later, because the average has to count first.
    assert ends_after(Adaptive(memory=0.005), epochs) == pytest.approx(end, abs=0.006)
    whole = ends_after(Adaptive(memory=0.005, pilot_restart="auto"), epochs)
    assert whole == pytest.approx(epochs / 20 + 0.2, abs=0.006)


def test_after_the_clean_baseline_too_the_ramp_waits_for_the_model():
    assert ends_after(Adaptive(), 4, accuracy=0.0) == pytest.approx(0.75, abs=0.006)


@pytest.mark.parametrize("accuracy", [None, -0.1, 1.1, float("nan")])
def test_the_accuracy_on_the_batch_is_required(accuracy):
    scheduler = EpsilonScheduler(Adaptive(), 8 / 255, HORIZON, chance=0.01)
    with pytest.raises(InvalidArgument, match="accuracy"):
        scheduler.step(accuracy)
    assert scheduler.steps_done == 0


@pytest.mark.parametrize("chance", [None, 1.0, -0.1, float("nan")])
def test_chance_is_required(chance):
    with pytest.raises(InvalidArgument, match="chance="):
        EpsilonScheduler(Adaptive(), 8 / 255, HORIZON, chance=chance)


@given(fraction=st.floats(0, 1), epochs=st.integers(1, 200))
def test_a_pilot_has_whole_epochs_and_is_shorter_than_the_run(fraction, epochs):
    longest = longest_pilot(fraction, epochs)
    assert 0 <= longest <= epochs - 1
    assert longest <= fraction * epochs + 1e-6


def test_a_fifth_of_fifteen_epochs_is_three():
    assert longest_pilot(0.2, 15) == 3
    assert longest_pilot(0.2, 4) == 0
    assert longest_pilot(1.0, 4) == 3
