"""`rampart refine`: its folders, its options, and the lines that it prints."""

from dataclasses import asdict
from pathlib import Path

import pytest
import typer

from rampart.cli.main import app
from rampart.evaluation.criticality import Criticality
from rampart.recipes.choosing import Between
from rampart.recipes.config.loading import load_config, save_config
from rampart.recipes.refining.settings import Refinement
from rampart.recipes.refining.several import Task
from rampart.runs.run_folder import RunFolder


@pytest.fixture
def refining(monkeypatch, tiny_settings):
    """The calls of `refine_run`, which here finds what a test can foresee."""
    calls = []

    def refine_run(run, output, settings, *, listener, resume, **others):
        calls.append((run, output, settings, resume))
        folder = RunFolder(output)
        folder.begin()
        save_config(load_config(None, tiny_settings), folder.config)
        folder.set_status("complete", refinement={"of": str(run), "layer": "stem"})
        listener.on_criticality(
            [Criticality("stem", 9, 0.25, 0.125), Criticality("head", 9, 0.125, 0.0)]
        )
        best = Between(0.5, 0.75, 0.5, 0.625)
        listener.on_found(Between(0.0, 0.7, 0.5, 0.6))
        listener.on_found(best)
        return folder, best

    monkeypatch.setattr("rampart.recipes.refining.refine.refine_run", refine_run)
    monkeypatch.setattr("rampart.cli.refine.require_finished", lambda *runs: None)
    return calls


def test_it_prints_layers_models_and_the_choice(rampart, refining, tmp_path):
    out = tmp_path / "out"
    result = rampart("refine", "run", "-o", out, "--no-evaluate")
    assert result.status == 0, result.err
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["0.1250", "0.2500"], "least critical first"
    assert [line.split()[:2] for line in lines[4:6]] == [["0%", "70.0%"], ["50%", "75.0%"]]
    assert f"best at Linf 8/255: 50% of the change of stem; model in {out / 'model'}" in result.out
    assert refining == [(Path("run"), out, {}, False)]


def test_options_become_settings(rampart, refining, tmp_path):
    options = ("--lr", "0.1", "--weight-decay", "0", "--choose", "expected", "--no-evaluate")
    result = rampart("refine", "a", "-o", tmp_path / "out", *options, "--resume")
    assert result.status == 0, result.err
    wanted = {"lr": 0.1, "weight_decay": 0.0, "choose": "expected"}
    assert [call[2:] for call in refining] == [(wanted, True)], "no default is given"


def test_several_runs_are_planned_together(rampart, refining, tmp_path, monkeypatch):
    seen = []

    def plan_refinements(places, given, *, resume, overwrite):
        seen.append((given, resume, overwrite))
        return [Task(run, place, {"lr": 0.5}, False) for run, place in reversed(places)]

    monkeypatch.setattr("rampart.recipes.refining.several.plan_refinements", plan_refinements)
    options = ("--epochs", "3", "--no-evaluate", "--resume")
    result = rampart("refine", "a", "b", "-o", tmp_path / "out", *options)
    assert result.status == 0, result.err
    assert seen == [({"epochs": 3}, True, False)]
    out = tmp_path / "out"
    assert refining == [
        (Path("b"), out / "b", {"lr": 0.5}, False),
        (Path("a"), out / "a", {"lr": 0.5}, False),
    ]


@pytest.mark.parametrize("option", ["--lr=0", "--lr=inf", "--choose=clen", "--epochs=0"])
def test_wrong_options_are_refused(refused, refining, option, tmp_path):
    refused(option[2:].partition("=")[0].replace("choose", "rule"), "refine", "a", option)
    assert not refining


def test_the_help_states_the_published_settings():
    options = {one.name: one for one in typer.main.get_command(app).commands["refine"].params}
    for name, value in asdict(Refinement()).items():
        shown = options[name].help.rpartition("by default ")[2].removesuffix(".")
        assert type(value)(shown) == value
        assert options[name].default is None, "what was not given is not taken as given"
