"""The result of a search: the best trial, a configuration that `train` reads, and the table."""

import csv
import json

import pytest

from rampart.errors import RunError
from rampart.experiments.tuning.outcome import write_outcome
from rampart.experiments.tuning.space import with_settings
from rampart.experiments.tuning.trials import Report, Trial
from rampart.recipes.config.loading import load_config


@pytest.fixture
def ended(search, write_epochs):
    """Trials with their status and the values of their epochs."""

    def save(*trials):
        search.open()
        for number, (status, values) in enumerate(trials, 1):
            reason = "out of | memory" if status == "failed" else ""
            trial = Trial(number, search.space.draw(0, number), status, reason)
            search.save(trial)
            write_epochs(search, trial, values)
            for epoch, value in enumerate(values, 1):
                search.add_report(Report(trial.name, epoch, value, 60.0 * number))
        return search.trials()

    return save


def test_the_best_of_those_that_trained_longest_wins(search, ended):
    trials = ended(
        ("complete", [0.1, 0.2, 0.5]),
        ("stopped", [0.9]),
        ("complete", [0.1, 0.2, 0.6]),
        ("diverged", [0.1, 0.2, 0.7]),
        ("failed", [0.1, 0.2, 0.8]),
    )
    outcome = write_outcome(search)
    assert outcome.best.trial == trials[2]
    assert [one.trial.number for one in outcome.tried[:3]] == [3, 1, 2]
    tuned = load_config(search.output / "tuned.yaml")
    assert tuned == with_settings(search.config, trials[2].settings)


def test_the_budget_and_the_trials_are_written(search, ended):
    trials = ended(("complete", [0.1, 0.2, 0.5]), ("stopped", [0.05]), ("failed", []))
    outcome = write_outcome(search)
    spent = json.loads((search.output / "spent.json").read_text())
    assert spent["runs"] == 3
    assert spent["passes"] == 4 * 40
    assert spent["minutes"] == 2.0
    assert spent["best"] == trials[0].name
    assert (spent["metric"], spent["value"], spent["epochs"]) == ("val_clean", 0.5, 3)
    rows = list(csv.DictReader((search.output / "trials.csv").read_text().splitlines()))
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    assert [row["epochs"] for row in rows] == ["3", "1", "0"]
    assert float(rows[0]["optimizer.head_lr"]) == trials[0].settings["optimizer.head_lr"]
    assert rows[2]["reason"] == "out of | memory"
    assert outcome.table == (search.output / "trials.md").read_text()
    lines = outcome.table.split("\n\n")[0].splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines} == {lines[0].count("|")}


def test_passes_of_a_failed_pilot_count(search, ended):
    (trial,) = ended(("complete", [0.1, 0.2, 0.5]))
    search.run(trial.name).set_status("complete", pilot={"passes": 1000})
    assert write_outcome(search).spent.passes == 1000 + 3 * 40


def test_without_any_success_the_reasons_are_named(search, ended):
    ended(("failed", []), ("diverged", [0.1]))
    with pytest.raises(RunError, match="every trial failed.*out of"):
        write_outcome(search)
    assert not (search.output / "tuned.yaml").exists()


def test_a_budget_of_less_than_an_epoch_is_named(search, ended):
    ended(("running", []))
    with pytest.raises(RunError, match="--minutes"):
        write_outcome(search)
