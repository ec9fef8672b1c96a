"""The folder of a search: it holds one search, and survives half-written files."""

from dataclasses import replace

import pytest

from rampart.errors import Diverged, InvalidArgument, RunError, UnknownName
from rampart.experiments.tuning.trials import Report, Trial, make_search
from rampart.recipes.config.loading import change_config


def test_trials_and_reports_are_read_as_they_were_written(search):
    search.open()
    trials = [Trial(1, search.space.draw(0, 0), "stopped"), Trial(2, search.space.draw(0, 1))]
    for trial in reversed(trials):
        search.save(trial)
    assert search.trials() == trials
    reports = [Report(trials[0].name, 1, 0.5, 3.0), Report(trials[1].name, 1, 0.25, 4.0)]
    for report in reports:
        search.add_report(report)
    path = search.output / "reports.jsonl"
    path.write_text(path.read_text() + '{"trial": "a", "ep')
    search.open()
    assert search.reports() == reports
    search.add_report(reports[0])
    assert search.reports() == [*reports, reports[0]]


def test_the_weights_of_an_ended_trial_are_deleted(search):
    trial = Trial(1, search.space.draw(0, 0))
    run = search.run(trial.name)
    for folder in (run.checkpoints, run.best, run.model):
        folder.mkdir(parents=True)
    run.history.write_text("")
    search.save(trial)
    assert run.checkpoints.exists()
    search.save(replace(trial, status="stopped"))
    assert [path.name for path in run.path.iterdir()] == ["history.jsonl"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"metric": "loss"}, "metric: clean -> loss"),
        ({"sampler": "optuna"}, "sampler"),
        ({"per_phase": True}, "per_phase"),
    ],
)
def test_another_search_in_the_folder_is_refused(search, change, says):
    search.open()
    with pytest.raises(RunError, match=says):
        replace(search, **change).open()


def test_another_configuration_in_the_folder_is_refused(search):
    search.open()
    other = change_config(search.config, ["training.epochs=4"])
    with pytest.raises(RunError, match=r"training.epochs: 3 -> 4"):
        replace(search, config=other).open()
    # What changes no result may differ.
    replace(search, config=change_config(search.config, ["data.workers=1"])).open()


def test_a_folder_of_something_else_is_not_changed(search):
    search.output.mkdir()
    (search.output / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="holds no search"):
        search.open()
    assert len(list(search.output.iterdir())) == 1


def test_a_damaged_file_is_named(search):
    search.open()
    search.save(Trial(1, search.space.draw(0, 0)))
    (file,) = (search.output / "trials").glob("*.json")
    file.write_text("{")
    with pytest.raises(RunError, match=file.name):
        search.trials()


def test_a_changed_value_of_a_trial_is_refused(search):
    search.open()
    search.save(Trial(1, search.space.draw(0, 0), "stopped"))
    (file,) = (search.output / "trials").glob("*.json")
    file.write_text(file.read_text().replace("stopped", "failed"))
    with pytest.raises(RunError, match=rf"{file.name} is damaged or was changed"):
        search.trials()


def test_a_metric_that_is_not_finite_is_a_divergence(search):
    row = {"epoch": 1, "val_robust_loss": float("nan"), "val_clean": 0.5}
    assert search.value(row) == 0.5
    with pytest.raises(Diverged, match="val_robust_loss"):
        replace(search, metric="loss").value(row)


def test_a_lower_loss_is_a_higher_value(search):
    loss = replace(search, metric="loss")
    assert loss.value({"val_robust_loss": 0.5}) > loss.value({"val_robust_loss": 0.6})
    assert loss.spell(loss.value({"val_robust_loss": 0.5})) == "0.5000"


@pytest.mark.parametrize(("metric", "sampler"), [("acuracy", "random"), ("clean", "grid")])
def test_unknown_words_are_answered_with_the_known_ones(tuned_config, tmp_path, metric, sampler):
    with pytest.raises(UnknownName, match="--(metric|sampler)"):
        make_search(tuned_config, tmp_path, metric, sampler)


def test_a_loss_that_is_not_measured_in_every_epoch_is_refused(tuned_config, tmp_path):
    config = change_config(tuned_config, ["training.validation_every=2"])
    assert make_search(config, tmp_path, "clean", "random").metric == "clean"
    with pytest.raises(InvalidArgument, match="training.validation_every=2"):
        make_search(config, tmp_path, "loss", "random")
