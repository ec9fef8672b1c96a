"""The rate and the remaining time of work whose course is known."""

import pytest

from rampart.progress import pace as module
from rampart.progress.pace import Pace, spell_rate
from rampart.progress.work import Work


@pytest.fixture
def now(monkeypatch):
    time = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: time[0])
    return time


def test_even_work_ends_when_it_is_said_to(now):
    pace = Pace(Work("attacking", 100, done=40))
    assert pace.spell() == "40 of 100 images"
    for done in range(41, 61):
        now[0] += 6
        pace.update(done)
    assert pace.rate == pytest.approx(1 / 6)
    assert pace.remaining == pytest.approx(40 * 6)
    assert pace.spell() == "60 of 100 images, 10.0 images/min, about 4 minutes left"
    now[0] += 90
    assert pace.remaining == pytest.approx(40 * 6 - 90), "it counts down between two updates"


def test_work_that_becomes_slower_is_judged_by_its_recent_pace(now):
    pace = Pace(Work("training", 1000, "step"))
    for done in range(1, 101):
        now[0] += 1 if done <= 50 else 4
        pace.update(done)
    # Of 250 seconds the last 200 count, in which a step took 4.
    assert pace.remaining == pytest.approx(900 * 4, rel=0.05)


def test_a_pause_between_two_waves_is_not_the_pace(now):
    """Of 300 images 90 end in 90 seconds, and the next one after 14 minutes."""
    pace = Pace(Work("attacking", 300))
    for done in range(1, 91):
        now[0] += 1
        pace.update(done)
    now[0] += 840
    pace.update(91)
    assert pace.remaining == pytest.approx(209 * 930 / 91)
    for done in range(92, 182):
        now[0] += 1
        pace.update(done)
    assert pace.remaining < 209 * 930 / 91


def test_units_of_known_cost_weigh_the_remaining_time(now):
    """Half of the steps cost 1, the others 9; the pace of the first half foretells the second."""
    pace = Pace(Work("training", 100, "step", cost=lambda n: n + 8 * max(0, n - 50)))
    for done in range(1, 51):
        now[0] += 2
        pace.update(done)
    assert pace.remaining == pytest.approx(50 * 18)


def test_no_unit_no_rate(now):
    pace = Pace(Work("attacking", 10))
    now[0] += 100
    assert (pace.rate, pace.remaining) == (None, None)
    pace.update(12, "eps 4/255")
    assert pace.done == 10, "never more than all"
    assert pace.spell() == "10 of 10 images, eps 4/255, 6.0 images/min, less than a minute left"


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        *((1234.5, "1,234 passes/s"), (2.34, "2.3 passes/s"), (0.5, "30.0 passes/min")),
        *((0.001, "3.6 passes/h"), (1e-5, "0.0 passes/h")),
    ],
)
def test_a_rate_has_the_first_unit_of_time_that_reaches_1(rate, text):
    assert spell_rate(rate, "pass") == text
