"""How far a search is, over sessions and with runs that are stopped early."""

import pickle

import pytest

from rampart.experiments.tuning.counting import counting
from rampart.experiments.tuning.session import Budget, Session
from rampart.experiments.tuning.trials import Report, Trial
from rampart.progress import pace
from rampart.progress.lines import Lines
from rampart.progress.work import showing


class Watcher:
    """Notes the names of the events."""

    def __init__(self):
        self.seen = []

    def __getattr__(self, name):
        return lambda *arguments: self.seen.append(name)


@pytest.fixture
def now(monkeypatch):
    time = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: time[0])
    return time


def begin(search, **budget):
    return Session(search, Budget(**budget), [], Watcher())


def trials(search, count):
    return [Trial(number, search.space.draw(0, number)) for number in range(1, count + 1)]


def test_a_run_counts_by_its_epochs_and_as_a_whole_when_it_is_stopped(search, now):
    lines, session = [], begin(search, runs=4)
    first, second = trials(search, 2)
    with showing(Lines(lines.append)), counting(session) as watcher:
        watcher.on_start(first)
        for epoch in (1, 2, 3):
            now[0] += 60
            watcher.on_epoch(first, Report(first.name, epoch, 0.5, 0.0))
        watcher.on_end(first)
        now[0] += 60
        watcher.on_epoch(second, Report(second.name, 1, 0.1, 0.0))
        now[0] += 60
        watcher.on_end(second)
    assert search.config.training.epochs == 3
    assert lines[0] == "search: 0 of 4 runs, 20.0 runs/h, about 11 minutes left"
    assert lines[2] == "search: 1 of 4 runs, 20.0 runs/h, about 9 minutes left"
    assert lines[-1].startswith("search: 2 of 4 runs, ")
    assert session.watcher.seen == ["on_start", *["on_epoch"] * 3, "on_end", "on_epoch", "on_end"]


def test_a_later_session_counts_what_earlier_ones_did(search, now):
    search.open()
    ended, begun = trials(search, 2)
    search.save(Trial(1, ended.settings, "stopped"))
    search.save(begun)
    for trial in (ended, begun):
        search.add_report(Report(trial.name, 1, 0.5, 1.0))
    lines = []
    with showing(Lines(lines.append)), counting(begin(search, runs=3)) as watcher:
        now[0] += 120
        watcher.on_epoch(begun, Report(begun.name, 3, 0.5, 0.0))
    # From 1 1/3 to 2 runs in two minutes.
    assert lines == ["search: 2 of 3 runs, 20.0 runs/h, about 3 minutes left"]


def test_a_search_of_some_minutes_ends_with_them(search, now):
    lines = []
    (first,) = trials(search, 1)
    with showing(Lines(lines.append)), counting(begin(search, minutes=30)) as watcher:
        now[0] += 600
        watcher.on_epoch(first, Report(first.name, 3, 0.5, 0.0))
    assert lines == ["search: 1 run, 6.0 runs/h, about 20 minutes left"]


def test_ray_can_copy_the_watcher_without_its_display(search):
    with showing(Lines(print)), counting(begin(search, runs=3)) as watcher:
        with pytest.raises((AttributeError, pickle.PicklingError)):
            pickle.dumps(watcher.update)
        assert pickle.dumps(watcher)
