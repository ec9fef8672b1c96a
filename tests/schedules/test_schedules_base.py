import json

import pytest

from rampart.errors import InvalidArgument, RampartError, UnknownName
from rampart.schedules.auto import Auto
from rampart.schedules.base import (
    EpsilonScheduler,
    Schedule,
    imagined_accuracy,
    preview,
    spell_time,
)
from rampart.schedules.hinge import Fix, Linear, Piecewise, Smoothed, Standard, TwoHinge
from rampart.units import Horizon

PUBLISHED = TwoHinge.at_epochs(12, 37)


def published(epoch):
    return 0 if epoch < 12 else 1 if epoch >= 37 else (epoch - 12) / 25


def test_the_contract_cannot_be_instantiated():
    with pytest.raises(TypeError, match="abstract"):
        Schedule()


def test_alpha_beyond_the_run_is_the_last_one():
    assert Linear().alpha(99, 50) == 1
    assert TwoHinge.at_epochs(10, 30).alpha(25, 20) == 0.5


@pytest.mark.parametrize(("t", "T"), [(-1, 10), (float("nan"), 10), (1, 0), (1, float("nan"))])
def test_impossible_times_are_refused(t, T):
    with pytest.raises(InvalidArgument):
        Linear().alpha(t, T)


def test_per_epoch_the_stepper_takes_exactly_the_published_values():
    scheduler = EpsilonScheduler(PUBLISHED, 4 / 255, Horizon(50, 7), "epoch")
    for step in range(350):
        assert scheduler.alpha == published(step // 7)
        assert scheduler.eps == published(step // 7) * (4 / 255)
        scheduler.step()


def test_per_step_the_stepper_fills_in_between_the_published_values():
    scheduler = EpsilonScheduler(PUBLISHED, 4 / 255, Horizon(50, 4))
    alphas = []
    for _ in range(200):
        alphas.append(scheduler.alpha)
        scheduler.step()
    assert alphas[::4] == [published(epoch) for epoch in range(50)]
    assert alphas[12 * 4 + 1] == 0.25 / 25


@pytest.mark.parametrize("granularity", ["step", "epoch"])
def test_the_unit_of_the_times_does_not_change_the_strengths(granularity):
    horizon = Horizon(20, 3)
    curves = [
        preview(schedule, 1, horizon, granularity)
        for schedule in (TwoHinge.at_epochs(5, 15), TwoHinge.at_steps(15, 45), TwoHinge())
    ]
    for row in zip(*curves, strict=True):
        assert row[0].alpha == pytest.approx(row[1].alpha) == pytest.approx(row[2].alpha)


def test_a_step_beyond_the_end_keeps_the_last_value():
    scheduler = EpsilonScheduler(Linear(), "8/255", Horizon(2, 2))
    for _ in range(4):
        scheduler.step()
    last = scheduler.eps
    scheduler.step()
    assert scheduler.eps == last == 8 / 255


def test_position_counts_epochs():
    scheduler = EpsilonScheduler(Fix(), 0.1, Horizon(3, 4))
    assert scheduler.position == 0
    for _ in range(6):
        scheduler.step()
    assert (scheduler.steps_done, scheduler.position) == (6, 1.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((PUBLISHED, 4 / 255, Horizon(15, 10)), "schedule.end=37 epochs: expected at most"),
        ((Fix(), 4, Horizon(15, 10)), "eps_g=4: .*write 4/255"),
        ((Fix(), -0.1, Horizon(15, 10)), "eps_g=-0.1"),
        ((Fix(), 0.1, Horizon(15, 10), "steps"), "unknown granularity 'steps'"),
    ],
)
def test_a_stepper_that_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(RampartError, match=words):
        EpsilonScheduler(*arguments)


def test_a_strength_in_l2_has_its_own_range():
    assert EpsilonScheduler(Fix(), 3, Horizon(1, 1), norm="l2").eps == 3


def test_state_survives_json_and_restores_the_run():
    scheduler = EpsilonScheduler(Auto(patience=1), 0.1, Horizon(5, 2))
    for accuracy in (0.5, 0.5, 0.5):
        scheduler.step()
        scheduler.step()
        scheduler.observe(accuracy)
    scheduler.step()
    other = EpsilonScheduler(Auto(patience=1), 0.1, Horizon(5, 2))
    other.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    assert other.eps == scheduler.eps > 0
    assert other.state_dict() == scheduler.state_dict()


def test_a_saved_state_does_not_change_afterwards():
    scheduler = EpsilonScheduler(Auto(), 0.1, Horizon(5, 2))
    saved = scheduler.state_dict()
    scheduler.observe(0.5)
    assert saved["state"] == {"metrics": [], "start": None}


@pytest.mark.parametrize(
    ("other", "key"),
    [
        (EpsilonScheduler(TwoHinge.at_epochs(12, 36), 0.1, Horizon(50, 2)), "schedule"),
        (EpsilonScheduler(Smoothed.at_epochs(12, 37), 0.1, Horizon(50, 2)), "schedule"),
        (EpsilonScheduler(PUBLISHED, 0.2, Horizon(50, 2)), "eps_g"),
        (EpsilonScheduler(PUBLISHED, 0.1, Horizon(51, 2)), "epochs"),
        (EpsilonScheduler(PUBLISHED, 0.1, Horizon(50, 3)), "steps_per_epoch"),
        (EpsilonScheduler(PUBLISHED, 0.1, Horizon(50, 2), "epoch"), "granularity"),
    ],
)
def test_the_state_of_another_run_is_refused(other, key):
    scheduler = EpsilonScheduler(PUBLISHED, 0.1, Horizon(50, 2))
    with pytest.raises(InvalidArgument, match=rf"state\.{key}=.*resume with the configuration"):
        scheduler.load_state_dict(other.state_dict())


def test_a_state_with_parts_missing_is_refused():
    scheduler = EpsilonScheduler(PUBLISHED, 0.1, Horizon(50, 2))
    with pytest.raises(InvalidArgument, match="without .*eps_g, .*steps_done"):
        scheduler.load_state_dict({"schedule": {}})


def test_preview_per_step_gives_a_row_per_step():
    rows = preview(Linear(), 1, Horizon(2, 4))
    assert [row.epoch for row in rows] == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]
    assert [row.alpha for row in rows] == [k / 8 for k in range(8)]


def test_preview_per_epoch_gives_the_published_table():
    rows = preview(PUBLISHED, 4 / 255, Horizon(50, 100), "epoch")
    assert [(row.epoch, row.alpha) for row in rows] == [(k, published(k)) for k in range(50)]
    assert rows[-1].eps == 4 / 255


def test_preview_shows_auto_the_accuracies_it_is_given():
    rows = preview(Auto(patience=1), 1, Horizon(4, 1), accuracy=[0.5, 0.5, 0.5, 0.5])
    assert [row.alpha for row in rows] == [0, 0, 0, 0.5]
    assert {row.alpha for row in preview(Auto(), 1, Horizon(15, 1))} == {0}
    assert preview(Auto(), 1, Horizon(50, 1))[-1].alpha > 0.9


def test_preview_wants_an_accuracy_for_every_epoch():
    with pytest.raises(InvalidArgument, match="accuracy=2 values: expected one for each of the 3"):
        preview(Auto(), 1, Horizon(3, 1), accuracy=[0.1, 0.2])


def test_the_imagined_accuracy_is_at_90_percent_at_epoch_11():
    curve = imagined_accuracy(50)
    assert curve[10] == pytest.approx(0.9 * curve[-1], abs=0.005)
    assert curve == sorted(curve)


def test_only_auto_needs_validation():
    assert Auto().needs_validation
    assert not any(s.needs_validation for s in (Fix(), Standard(), TwoHinge(), Piecewise()))


def test_times_are_spelled_with_their_unit():
    assert spell_time(0.75, "share") == "0.75 of the run"
    assert spell_time(1, "epoch") == "1 epoch"
    assert spell_time(1234567, "step") == "1234567 steps"


def test_an_unknown_unit_is_answered_with_the_known_ones():
    with pytest.raises(UnknownName, match="did you mean step"):
        TwoHinge(unit="steps")
