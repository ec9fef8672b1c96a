import json

import pytest

from rampart.errors import InvalidArgument, RampartError
from rampart.schedules.adaptive import Adaptive
from rampart.schedules.auto import Auto
from rampart.schedules.hinge import Fix, Linear, Smoothed, TwoHinge
from rampart.schedules.preview import preview
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.units import Horizon

PUBLISHED = TwoHinge.at_epochs(12, 37)


def published(epoch):
    return 0 if epoch < 12 else 1 if epoch >= 37 else (epoch - 12) / 25


def test_per_epoch_the_stepper_has_exactly_the_published_values():
    scheduler = EpsilonScheduler(PUBLISHED, 4 / 255, Horizon(50, 7), "epoch")
    for step in range(350):
        assert scheduler.alpha == published(step // 7)
        assert scheduler.eps == published(step // 7) * (4 / 255)
        scheduler.step()


def test_per_step_the_stepper_interpolates_the_published_values():
    scheduler = EpsilonScheduler(PUBLISHED, 4 / 255, Horizon(50, 4))
    alphas = []
    for _ in range(200):
        alphas.append(scheduler.alpha)
        scheduler.step()
    assert alphas[::4] == [published(epoch) for epoch in range(50)]
    assert alphas[12 * 4 + 1] == 0.25 / 25


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_the_unit_of_the_times_does_not_change_the_strengths(interval):
    horizon = Horizon(20, 3)
    curves = [
        preview(schedule, 1, horizon, interval)
        for schedule in (TwoHinge.at_epochs(5, 15), TwoHinge.at_steps(15, 45), TwoHinge())
    ]
    for row in zip(*curves, strict=True):
        assert row[0].alpha == pytest.approx(row[1].alpha) == pytest.approx(row[2].alpha)


def test_the_last_value_stays_after_the_end():
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
        ((PUBLISHED, 4 / 255, Horizon(15, 10)), "schedule.end=37 epochs"),
        ((Fix(), 4, Horizon(15, 10)), "eps_g=4: .*write 4/255"),
        ((Fix(), -0.1, Horizon(15, 10)), "eps_g=-0.1"),
        ((Fix(), 0.1, Horizon(15, 10), "steps"), "unknown interval 'steps'"),
    ],
)
def test_contradictory_arguments_are_refused(arguments, words):
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
        (EpsilonScheduler(PUBLISHED, 0.1, Horizon(50, 2), "epoch"), "interval"),
    ],
)
def test_the_state_of_another_run_is_refused(other, key):
    scheduler = EpsilonScheduler(PUBLISHED, 0.1, Horizon(50, 2))
    with pytest.raises(InvalidArgument, match=rf"state\.{key}="):
        scheduler.load_state_dict(other.state_dict())


def test_a_state_with_parts_missing_is_refused():
    scheduler = EpsilonScheduler(PUBLISHED, 0.1, Horizon(50, 2))
    with pytest.raises(InvalidArgument, match="without .*eps_g, .*steps_done"):
        scheduler.load_state_dict({"schedule": {}})


def test_a_probe_comes_before_the_schedule_which_extends_over_the_rest():
    """Steps 0 to 5 at full strength, then the schedule of a run of four epochs."""
    for schedule, interval in ((TwoHinge(), "step"), (TwoHinge.at_steps(3, 9), "epoch")):
        rest = [row.alpha for row in preview(schedule, 1, Horizon(4, 3), interval)]
        scheduler = EpsilonScheduler(schedule, 1, Horizon(6, 3), interval, probe=2)
        alphas, probing = [], []
        for _ in range(18):
            alphas.append(scheduler.alpha)
            probing.append(scheduler.probing)
            scheduler.step()
        each = 1 if interval == "step" else 3
        assert alphas[:6] == [1.0] * 6
        assert alphas[6::each] == rest
        assert probing == [True] * 6 + [False] * 12


def test_a_schedule_that_follows_the_run_learns_nothing_from_a_probe():
    schedule = Adaptive(pilot=0.0)
    with_probe = EpsilonScheduler(schedule, 1, Horizon(6, 4), chance=0.1, probe=2)
    alone = EpsilonScheduler(schedule, 1, Horizon(4, 4), chance=0.1)
    for _ in range(8):
        with_probe.step(1.0)
        assert with_probe.decision is None
    for step in range(16):
        assert with_probe.alpha == alone.alpha
        for one in (with_probe, alone):
            one.step(0.05 if step % 3 else 0.9)
        assert with_probe.decision == alone.decision


def test_a_schedule_that_needs_validation_waits_for_the_end_of_the_probe():
    with_probe = EpsilonScheduler(Auto(), 1, Horizon(12, 2), probe=3)
    alone = EpsilonScheduler(Auto(), 1, Horizon(9, 2))
    for epoch in range(12):
        for one in (with_probe, alone)[: 1 if epoch < 3 else 2]:
            one.step()
            one.step()
            one.observe(0.5)
        assert epoch < 2 or with_probe.alpha == alone.alpha
    assert with_probe.alpha > 0


def test_a_state_in_a_probe_is_resumed_and_one_of_another_probe_refused():
    horizon = Horizon(4, 2)
    scheduler = EpsilonScheduler(TwoHinge(), 1, horizon, probe=2)
    for _ in range(3):
        scheduler.step()
    other = EpsilonScheduler(TwoHinge(), 1, horizon, probe=2)
    other.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    assert (other.probing, other.alpha, other.steps_done) == (True, 1.0, 3)
    with pytest.raises(InvalidArgument, match="probe"):
        EpsilonScheduler(TwoHinge(), 1, horizon, probe=1).load_state_dict(scheduler.state_dict())


@pytest.mark.parametrize("probe", [-1, 4])
def test_a_probe_leaves_epochs_to_the_schedule(probe):
    with pytest.raises(InvalidArgument, match="probe"):
        EpsilonScheduler(Fix(), 1, Horizon(4, 2), probe=probe)
