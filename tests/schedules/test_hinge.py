import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rampart.errors import InvalidArgument, RampartError
from rampart.schedules.hinge import (
    Fix,
    Linear,
    LinearWarmup,
    PiecewiseLinear,
    Smoothed,
    Standard,
    Switch,
    TwoHinge,
    ramp,
)
from rampart.units import Horizon

fractions = st.floats(0, 1)


@pytest.mark.parametrize("epoch", range(51))
def test_two_hinge_takes_the_published_value_at_every_epoch(epoch):
    # arXiv 2509.23325: T = 50, T1 = 12, T2 = 37.
    expected = 0 if epoch < 12 else 1 if epoch >= 37 else (epoch - 12) / 25
    assert TwoHinge.at_epochs(12, 37).alpha(epoch, 50) == expected


TABLE = [
    (Fix(), {0: 1, 20: 1, 50: 1}),
    (Fix(value=0.5), {0: 0.5, 50: 0.5}),
    (Standard(), {0: 0, 20: 0, 50: 0}),
    (TwoHinge(), {0: 0, 12.5: 0, 18.75: 0.25, 25: 0.5, 37.5: 1, 50: 1}),
    (TwoHinge.at_epochs(10, 20), {9.9: 0, 10: 0, 15: 0.5, 20: 1, 45: 1}),
    (TwoHinge.at_epochs(10, 10), {9.9: 0, 10: 1}),
    (TwoHinge.at_epochs(0, 0), {0: 1}),
    (LinearWarmup(), {0: 0, 18.75: 0.5, 37.5: 1, 50: 1}),
    (LinearWarmup(end=0), {0: 1}),
    (LinearWarmup(end=20, unit="epoch"), {0: 0, 5: 0.25, 20: 1}),
    (Linear(), {0: 0, 25: 0.5, 40: 0.8, 50: 1}),
    (Switch(), {0: 0, 12.4: 0, 12.5: 1, 50: 1}),
    (Switch(at=3, unit="epoch"), {2.99: 0, 3: 1}),
    (Smoothed(), {0: 0, 12.5: 0, 25: 0.5, 37.5: 1, 50: 1}),
    (Smoothed.at_epochs(0, 30), {10: 0.25, 20: 0.75}),
    (PiecewiseLinear(), {0: 0, 25: 0.5, 50: 1}),
    (PiecewiseLinear(((0.5, 0.3),)), {0: 0.3, 25: 0.3, 50: 0.3}),
    (
        PiecewiseLinear(((5, 0.2), (10, 0.4), (20, 0.0), (40, 1.0)), "epoch"),
        {0: 0.2, 5: 0.2, 7.5: 0.3, 10: 0.4, 15: 0.2, 20: 0, 30: 0.5, 40: 1, 50: 1},
    ),
]


@pytest.mark.parametrize(("schedule", "values"), TABLE, ids=lambda value: str(value)[:40])
def test_values_in_a_run_of_50_epochs(schedule, values):
    for time, expected in values.items():
        assert schedule.alpha(time, 50) == pytest.approx(expected, abs=1e-12)


def test_times_in_steps_and_in_epochs_agree():
    in_epochs, in_steps = TwoHinge.at_epochs(12, 37), TwoHinge.at_steps(1200, 3700)
    for step in range(0, 5001, 13):
        assert in_steps.alpha(step, 5000) == pytest.approx(in_epochs.alpha(step / 100, 50))


def test_the_constructors_set_the_unit():
    assert TwoHinge.at_fractions(0.25, 0.75) == TwoHinge()
    assert TwoHinge.at_epochs(12, 37) == TwoHinge(12, 37, "epoch")
    assert TwoHinge.at_steps(12, 37) == TwoHinge(12, 37, "step")
    assert isinstance(Smoothed.at_epochs(12, 37), Smoothed)


def family(start, end):
    return [
        TwoHinge(start, end),
        Smoothed(start, end),
        LinearWarmup(end),
        Linear(),
        PiecewiseLinear(((start, 0.0), (end, 1.0))) if start < end else Switch(start),
    ]


@given(fractions, fractions, st.floats(1e-3, 1e6), fractions, fractions)
def test_the_hinge_family_rises_within_0_and_1(a, b, T, x, y):
    for schedule in family(min(a, b), max(a, b)):
        low, high = (schedule.alpha(fraction * T, T) for fraction in sorted((x, y)))
        assert 0 <= low <= high + 1e-15 <= 1 + 1e-15


@given(fractions, fractions, st.floats(1e-3, 1e6), fractions, fractions)
def test_the_ramps_are_continuous(a, b, T, x, y):
    start, end = min(a, b), max(a, b)
    assume(end - start > 1e-6)
    for schedule in family(start, end):
        steepest = math.pi / 2 / (end - start)
        change = abs(schedule.alpha(x * T, T) - schedule.alpha(y * T, T))
        assert change <= steepest * abs(x - y) + 1e-6


@given(fractions, fractions, fractions)
def test_smoothed_has_no_kink(a, b, x):
    start, end = min(a, b), max(a, b)
    assume(end - start > 0.01)
    schedule, h = Smoothed(start, end), 1e-5

    def slope(at):
        return (schedule.alpha(at + h, 1) - schedule.alpha(at - h, 1)) / (2 * h)

    inside = min(max(x, 3 * h), 1 - 3 * h)
    curvature = math.pi**2 / 2 / (end - start) ** 2
    assert abs(slope(inside + h) - slope(inside - h)) <= 2 * curvature * 2 * h + 1e-6


@given(st.lists(st.tuples(fractions, fractions), min_size=1, max_size=6, unique_by=lambda p: p[0]))
def test_piecewise_passes_through_its_points_and_stays_between_them(points):
    points = tuple(sorted(points))
    schedule = PiecewiseLinear(points)
    for time, alpha in points:
        assert schedule.alpha(time, 1) == pytest.approx(alpha, abs=1e-12)
    alphas = [alpha for _, alpha in points]
    for k in range(33):
        assert min(alphas) - 1e-15 <= schedule.alpha(k / 32, 1) <= max(alphas) + 1e-15


def test_a_ramp_of_length_0_is_a_jump():
    assert [ramp(t, 2, 2) for t in (1, 2, 3)] == [0, 1, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TwoHinge(0.8, 0.2), ["schedule.start=0.8", "at most schedule.end", "0.2"]),
        (lambda: TwoHinge.at_epochs(37, 12), ["schedule.start=37 epochs", "12 epochs"]),
        (lambda: Smoothed.at_steps(9, 3), ["schedule.start=9 steps", "3 steps"]),
        (lambda: TwoHinge(12, 37), ["schedule.start=12", "[0, 1]", "unit=epoch"]),
        (lambda: TwoHinge(-0.1, 0.2), ["schedule.start=-0.1"]),
        (lambda: TwoHinge.at_epochs(-1, 2), ["schedule.start=-1 epochs"]),
        (lambda: TwoHinge(0.1, math.nan), ["schedule.end=nan"]),
        (lambda: TwoHinge.at_steps(0, math.inf), ["schedule.end=inf"]),
        (lambda: TwoHinge(unit="epochs"), ["unit of time", "epochs", "did you mean epoch"]),
        (lambda: LinearWarmup(2), ["schedule.end=2"]),
        (lambda: Switch(-1, "step"), ["schedule.at=-1"]),
        (lambda: Fix(1.5), ["schedule.value=1.5", "[0, 1]"]),
        (lambda: PiecewiseLinear(()), ["schedule.points=nothing"]),
        (lambda: PiecewiseLinear(((0, 0), (0, 1))), ["schedule.points[1]=0"]),
        (lambda: PiecewiseLinear(((0.5, 0), (0.2, 1))), ["schedule.points[1]=0.2", "0.5"]),
        (lambda: PiecewiseLinear(((0, 1.5),)), ["schedule.points[0]=1.5", "alpha"]),
        (lambda: PiecewiseLinear(((0, math.nan),)), ["schedule.points[0]=nan"]),
    ],
)
def test_impossible_options_are_refused_at_construction(make, words):
    with pytest.raises(RampartError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (TwoHinge.at_epochs(12, 37), ["schedule.end=37 epochs", "15 epochs"]),
        (LinearWarmup(16, "epoch"), ["schedule.end=16 epochs", "15 epochs"]),
        (Switch(151, "step"), ["schedule.at=151 steps", "150 steps"]),
        (Smoothed.at_steps(10, 1000), ["schedule.end=1000 steps", "150 steps"]),
        (
            PiecewiseLinear(((0, 0), (20, 1)), "epoch"),
            ["schedule.points[1]=20 epochs", "15 epochs"],
        ),
    ],
)
def test_a_time_after_the_end_of_the_run_is_refused(schedule, words):
    with pytest.raises(InvalidArgument) as caught:
        schedule.check(Horizon(15, 10))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_time_at_the_end_of_the_run_is_accepted():
    TwoHinge.at_epochs(0, 15).check(Horizon(15, 10))
    TwoHinge.at_steps(0, 150).check(Horizon(15, 10))
    TwoHinge.at_fractions(0, 1).check(Horizon(15, 10))
