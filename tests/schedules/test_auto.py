import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument
from rampart.schedules.auto import Auto, has_converged
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.units import Horizon


def start_of_ramp(schedule, metrics, T=50):
    state = schedule.initial_state()
    for epoch, metric in enumerate(metrics, start=1):
        state = schedule.observe(state, epoch, T, metric)
    return state["start"]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ([0.5] * 5, None),  # as many as the patience, so no earlier epochs
        ([0.5] * 6, 6),
        ([0.5] * 20, 6),  # set once
        ([0.1, 0.5, 0.5, 0.5, 0.5, 0.5], None),  # the first of the five is an improvement
        ([0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], 7),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.53], None),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.515], 6),  # better, but by less than 0.02
        ([0.9, 0.1, 0.1, 0.1, 0.1, 0.1], 6),  # worse counts as converged
        ([0.05 * epoch for epoch in range(20)], None),  # improves throughout
        ([], None),
    ],
)
def test_convergence_is_detected_as_published(metrics, expected):
    assert start_of_ramp(Auto(), metrics) == expected


def test_an_improvement_of_exactly_the_tolerance_counts():
    assert not has_converged([0.5, 0.75], patience=1, tolerance=0.25)
    assert has_converged([0.5, 0.749], patience=1, tolerance=0.25)


def test_patience_and_tolerance_are_options():
    assert start_of_ramp(Auto(patience=1), [0.5, 0.5]) == 2
    assert start_of_ramp(Auto(patience=1, tolerance=0.2), [0.1, 0.4, 0.55]) == 3


@pytest.mark.parametrize(("t", "expected"), [(0, 0), (6, 0), (7, 0.25), (8, 0.5), (10, 1)])
def test_the_ramp_is_linear_to_the_end(t, expected):
    state = {"metrics": [], "start": 6}
    assert Auto().alpha(t, 10, state) == expected


def test_without_convergence_there_is_no_attack():
    assert [Auto().alpha(t, 10) for t in range(11)] == [0] * 11


def test_convergence_at_the_very_end_starts_no_ramp():
    assert start_of_ramp(Auto(), [0.5] * 6, T=6) is None


def test_observe_does_not_change_the_old_state():
    before = Auto().initial_state()
    Auto().observe(before, 1, 10, 0.5)
    assert before == Auto().initial_state() == {"metrics": [], "start": None}


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_the_stepper_ramps_after_the_epoch_that_converged(interval):
    scheduler = EpsilonScheduler(Auto(patience=1), 4 / 255, Horizon(6, 2), interval)
    alphas = []
    for _ in range(6):
        alphas.append(scheduler.alpha)
        scheduler.step()
        scheduler.step()
        scheduler.observe(0.5)
    assert alphas == [0, 0, 0, 0.25, 0.5, 0.75]


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(1, 6), st.floats(0, 0.5))
def test_alpha_is_a_fraction_and_never_falls(metrics, patience, tolerance):
    schedule, state, alphas = Auto(patience, tolerance), None, []
    for epoch, metric in enumerate(metrics, start=1):
        state = schedule.observe(state, epoch, 30, metric)
        alphas.append(schedule.alpha(epoch, 30, state))
    assert all(0 <= alpha <= 1 for alpha in alphas)
    assert alphas == sorted(alphas)


@pytest.mark.parametrize(("epochs", "warns"), [(5, True), (6, True), (7, False), (50, False)])
def test_a_run_that_is_too_short_warns(epochs, warns):
    warnings = Auto().warnings(Horizon(epochs, 10))
    assert bool(warnings) is warns
    assert all(f"{epochs} epochs" in warning for warning in warnings)
    Auto().check(Horizon(epochs, 10))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patience": 0}, "schedule.patience=0"),
        ({"tolerance": 2}, "write 0.02"),
        ({"tolerance": -0.1}, "schedule.tolerance=-0.1"),
        ({"tolerance": float("nan")}, "schedule.tolerance=nan"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(InvalidArgument, match=words):
        Auto(**options)


@pytest.mark.parametrize("metric", [97.0, -0.1, float("nan")])
def test_a_metric_outside_0_and_1_is_refused(metric):
    with pytest.raises(InvalidArgument, match="metric="):
        Auto().observe(None, 1, 10, metric)
