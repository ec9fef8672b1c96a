"""Tests of every schedule that the registry lists."""

import dataclasses
import doctest
import json
import sys

import pytest
import yaml

from rampart.schedules.catalogue import SCHEDULES
from rampart.schedules.preview import assumed_accuracy, preview
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.units import Horizon

HORIZON = Horizon(12, 5)
#: Converges early enough for the default `auto` to ramp within the run.
ACCURACY = assumed_accuracy(6 * HORIZON.epochs)[::6]
every_schedule = pytest.mark.parametrize("name", SCHEDULES.names())
every_interval = pytest.mark.parametrize("interval", ["step", "epoch"])


def scheduler_of(name, interval):
    return EpsilonScheduler(SCHEDULES.build(name), 8 / 255, HORIZON, interval, chance=0.0)


def on_batch(step):
    """Return the accuracy on a batch, interpolated between the ends of the epochs."""
    epoch, done = divmod(step - 1, HORIZON.steps_per_epoch)
    before = ACCURACY[epoch - 1] if epoch else 0.0
    return before + (ACCURACY[epoch] - before) * ((done + 1) / HORIZON.steps_per_epoch)


def walk(scheduler, steps):
    """Advance by `steps` with accuracies; return the strengths."""
    strengths = []
    for _ in range(steps):
        strengths.append(scheduler.eps)
        scheduler.step(on_batch(scheduler.steps_done + 1))
        if scheduler.position == int(scheduler.position):
            scheduler.observe(ACCURACY[int(scheduler.position) - 1])
    return strengths


def test_the_catalogue_is_complete():
    # Another test may have registered a schedule of a user's own in this process.
    own = {n for n in SCHEDULES.names() if SCHEDULES.get(n).__module__.startswith("rampart.")}
    assert own == {
        *("fix", "standard", "two-hinge", "linear-warmup", "linear"),
        *("switch", "smoothed", "piecewise", "uniform", "auto"),
        *("plateau", "adaptive"),
    }


@every_schedule
def test_it_is_a_frozen_dataclass_with_a_docstring(name):
    schedule = SCHEDULES.build(name)
    assert dataclasses.is_dataclass(schedule)
    assert type(schedule).__dataclass_params__.frozen
    assert not type(schedule).__doc__.startswith(f"{type(schedule).__name__}(")


@every_schedule
def test_its_docstring_has_the_formula_and_an_example_that_holds(name):
    cls = SCHEDULES.get(name)
    assert "alpha" in cls.__doc__
    (example,) = doctest.DocTestFinder(recurse=False).find(
        cls, cls.__name__, globs=vars(sys.modules[cls.__module__]).copy()
    )
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@every_schedule
def test_a_configuration_file_restores_it(name):
    schedule = SCHEDULES.build(name)
    options = yaml.safe_load(yaml.safe_dump(json.loads(json.dumps(SCHEDULES.dump(schedule)))))
    assert SCHEDULES.build(options.pop("name"), options) == schedule


@every_schedule
@every_interval
def test_the_strength_stays_between_0_and_eps_g(name, interval):
    strengths = walk(scheduler_of(name, interval), HORIZON.steps)
    assert all(0 <= eps <= 8 / 255 for eps in strengths)
    assert any(strengths) is (name != "standard")


@every_schedule
@every_interval
def test_a_resumed_run_equals_the_uninterrupted_one(name, interval):
    whole = walk(scheduler_of(name, interval), HORIZON.steps)
    for done in range(HORIZON.steps + 1):
        first, second = (scheduler_of(name, interval) for _ in range(2))
        start = walk(first, done)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert start + walk(second, HORIZON.steps - done) == whole


@every_schedule
def test_per_epoch_the_strength_changes_only_between_epochs(name):
    strengths = walk(scheduler_of(name, "epoch"), HORIZON.steps)
    for epoch in range(HORIZON.epochs):
        assert len(set(strengths[epoch * 5 : epoch * 5 + 5])) == 1


@every_schedule
def test_alpha_is_pure(name):
    schedule = SCHEDULES.build(name)
    times = [k / 10 for k in range(121)]
    forwards = [schedule.alpha(t, 12) for t in times]
    assert [schedule.alpha(t, 12) for t in reversed(times)] == forwards[::-1]
    assert schedule.alpha(13, 12) == schedule.alpha(12, 12)


@every_schedule
@every_interval
def test_the_preview_equals_the_strengths_of_the_run(name, interval):
    scheduler = scheduler_of(name, "step")
    rows = preview(scheduler.schedule, 8 / 255, HORIZON, accuracy=ACCURACY)
    assert [row.eps for row in rows] == walk(scheduler, HORIZON.steps)


@every_schedule
def test_its_warnings_are_sentences(name):
    for epochs in (1, 5, 50):
        assert all(w.endswith(".") for w in SCHEDULES.build(name).warnings(Horizon(epochs, 3)))


@every_schedule
def test_the_package_exports_every_schedule(name):
    import rampart

    cls = SCHEDULES.get(name)
    assert getattr(rampart, cls.__name__) is cls
