"""One trial: which epochs it reports, how it stops and resumes, and that it changes no result."""

from dataclasses import replace

import pytest

from rampart.errors import Diverged
from rampart.experiments.tuning.one_trial import StoppedTrial, train_trial, trial_config
from rampart.experiments.tuning.space import name_of, with_settings
from rampart.recipes.config.loading import change_config
from rampart.recipes.train import train_run
from rampart.runs.history import History


@pytest.fixture
def settings(search):
    return search.space.of(search.config)


class Stop:
    """Ends the trial as Ray does, when an epoch is reported."""

    def __init__(self, epoch):
        self.epoch, self.rows = epoch, []

    def __call__(self, row):
        self.rows.append(row)
        if row["epoch"] == self.epoch:
            raise SystemExit(0)


def without_times(rows):
    times = ("seconds", "data_seconds", "images_per_second")
    return [{key: one for key, one in row.items() if key not in times} for row in rows]


def test_a_trial_trains_as_its_configuration_does(search, settings, tmp_path):
    search.open()
    rows = []
    train_trial(settings, search, rows.append)
    config = with_settings(change_config(search.config, ["training.monitors=false"]), settings)
    alone = train_run(config, tmp_path / "alone")
    assert without_times(rows) == without_times(History(alone.history).rows())
    assert [row["epoch"] for row in rows] == [1, 2, 3]


def test_a_resumed_trial_reports_its_earlier_epochs_first(search, settings):
    search.open()
    first, second = Stop(2), []
    with pytest.raises(StoppedTrial):
        train_trial(settings, search, first)
    folder = search.run(name_of(settings))
    assert folder.status() == "interrupted"
    train_trial(settings, search, second.append)
    assert [row["epoch"] for row in second] == [1, 2, 3]
    # The second epoch is trained again: its checkpoint came after the report.
    assert without_times(second[:2]) == without_times(first.rows)


def test_a_start_that_was_killed_is_made_anew(search, settings):
    search.open()
    train_trial(settings, search, lambda row: None)
    folder = search.run(name_of(settings))
    folder.status_file.unlink()
    rows = []
    train_trial(settings, search, rows.append)
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("passes", "metric"),
    [(True, "clean"), (False, "clean"), (False, "expected"), (False, "loss")],
)
def test_epochs_of_a_pilot_are_reported_once_it_has_passed(
    search, settings, passes, metric, monkeypatch
):
    changes = ["schedule=adaptive", "schedule.pilot=0.34", "training.epochs=3"]
    changes += ["schedule.pilot_restart=baseline"]
    search = replace(search, config=change_config(search.config, changes), metric=metric)
    search.open()
    monkeypatch.setattr("rampart.training.pilot_verdict.Pilot.passed", passes)
    rows = []
    train_trial(settings, search, rows.append)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert (rows[0]["alpha"] == 1) == passes
    assert all(isinstance(search.value(row), float) for row in rows)


@pytest.mark.parametrize("metric", ["clean", "expected", "loss"])
def test_every_metric_is_in_the_history(search, settings, metric):
    search = replace(search, metric=metric)
    search.open()
    stop = Stop(1)
    with pytest.raises(StoppedTrial):
        train_trial(settings, search, stop)
    assert isinstance(search.value(stop.rows[0]), float)


def test_a_trial_differs_from_the_tuned_run_in_no_training(search, settings):
    for metric in ("clean", "expected"):
        config = trial_config(replace(search, metric=metric), settings)
        assert config.optimizer == search.config.optimizer
        assert not config.training.monitors


def test_a_run_whose_weights_are_not_finite_diverges(search, settings):
    search.open()
    with pytest.raises(Diverged):
        train_trial({**settings, "optimizer.backbone_lr": 1e30}, search, lambda row: None)
