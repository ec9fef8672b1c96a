"""ASHA over several sessions, and the searchers."""

from types import SimpleNamespace

import pytest

pytest.importorskip("ray")

from ray.tune.schedulers import TrialScheduler

from rampart.experiments.tuning.ray_tune import Recorder, make_optuna, make_scheduler
from rampart.experiments.tuning.session import Budget, Session
from rampart.experiments.tuning.space import name_of
from rampart.experiments.tuning.trials import Report, Trial

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


class Watcher:
    def __init__(self):
        self.seen = []

    def on_start(self, trial):
        self.seen.append(("start", trial.number))

    def on_epoch(self, trial, report):
        self.seen.append(("epoch", trial.number, report.epoch))

    def on_end(self, trial):
        self.seen.append((trial.status, trial.number))


def begin(search):
    return Session(search, Budget(runs=4), [], Watcher())


def as_ray(settings, **more):
    return SimpleNamespace(config=settings, trial_id="now", **more)


@pytest.fixture
def earlier(search):
    """Two trials, of which the first was the better one and the second ended."""
    search.open()
    good, bad = (Trial(n, search.space.draw(0, n)) for n in (1, 2))
    search.save(good)
    search.save(Trial(2, bad.settings, "stopped"))
    for report in (Report(good.name, 1, 0.5, 1.0), Report(bad.name, 1, 0.1, 2.0)):
        search.add_report(report)
    return good, bad


def ask(scheduler, settings, epoch, value):
    return scheduler.on_trial_result(None, as_ray(settings), {"epoch": epoch, "value": value})


def test_asha_remembers_earlier_sessions(search, earlier):
    scheduler = make_scheduler(begin(search))
    for number, value, action in ((3, 0.2, STOP), (4, 0.9, CONTINUE)):
        settings = search.space.draw(0, number)
        scheduler.on_trial_add(None, as_ray(settings))
        assert ask(scheduler, settings, 1, value) == action


def test_a_resumed_trial_keeps_the_decisions_about_it(search, earlier):
    good, _ = earlier
    scheduler = make_scheduler(begin(search))
    better = search.space.draw(0, 3)
    for settings in (better, good.settings):
        scheduler.on_trial_add(None, as_ray(settings))
    # A better one reports before the resumed one repeats its first epoch.
    assert ask(scheduler, better, 1, 0.9) == CONTINUE
    assert ask(scheduler, good.settings, 1, 0.5) == CONTINUE
    scheduler.on_trial_complete(None, as_ray(good.settings), {"epoch": 2, "value": 0.6})


def test_optuna_knows_ended_trials_and_resumes_unfinished_ones(search, earlier):
    pytest.importorskip("optuna")
    good, bad = earlier
    searcher = make_optuna(begin(search))
    assert [trial.params for trial in searcher._ot_study.get_trials(states=(1,))] == [bad.settings]
    assert searcher.suggest("a") == good.settings
    drawn = searcher.suggest("b")
    assert drawn.keys() == search.space.ranges.keys()
    assert make_optuna(begin(search)).suggest("a") == good.settings


def test_events_are_written_once(search, earlier):
    good, _ = earlier
    session = begin(search)
    recorder, ray = (
        Recorder(session, session.watcher),
        as_ray(good.settings, last_result={"epoch": 2}),
    )
    recorder.on_trial_start(0, [], ray)
    for epoch in (1, 2):
        recorder.on_trial_result(0, [], ray, {"epoch": epoch, "value": 0.5})
    recorder.on_trial_complete(0, [], ray)
    assert [(one.trial, one.epoch) for one in search.reports()[2:]] == [(good.name, 2)]
    assert search.reports()[-1].seconds >= 2.0
    assert search.trial(good.name).status == "stopped"
    assert session.watcher.seen == [("start", 1), ("epoch", 1, 2), ("stopped", 1)]


def test_the_last_epoch_completes_a_trial_and_time_leaves_it_open(search, earlier):
    good, _ = earlier
    for seconds, last, status in ((1e9, 3, "complete"), (0.0, 3, "complete"), (0.0, 1, "running")):
        session = begin(search)
        session.seconds = seconds
        recorder, ray = (
            Recorder(session, session.watcher),
            as_ray(good.settings, last_result={"epoch": last}),
        )
        recorder.on_trial_start(0, [], ray)
        recorder.on_trial_complete(0, [], ray)
        assert search.trial(name_of(good.settings)).status == status


def test_a_process_that_died_is_named(search, earlier):
    good, _ = earlier
    recorder, ray = Recorder(begin(search), Watcher()), as_ray(good.settings)
    recorder.on_trial_start(0, [], ray)
    recorder.on_trial_error(0, [], ray)
    died = search.trial(good.name)
    assert died.status == "failed"
    assert "process" in died.reason
    recorder.on_trial_start(0, [], ray)
    search.save_failure(died, ValueError("of the user"))
    recorder.on_trial_error(0, [], ray)
    assert search.trial(good.name).reason == "ValueError: of the user"
