"""`rampart refine`: its folders, its options, and the lines that it prints."""

from pathlib import Path

import pytest

from rampart.cli.refine import _places
from rampart.errors import RunError
from rampart.evaluation.criticality import Criticality
from rampart.recipes.between import Between
from rampart.recipes.config.loading import load_config, save_config
from rampart.recipes.refining.settings import Refinement
from rampart.runs.run_folder import RunFolder


@pytest.mark.parametrize(
    ("runs", "output", "places"),
    [
        (["runs/a"], None, ["runs/a-refined"]),
        (["runs/a/"], "b", ["b"]),
        (["s/x/seed-0", "s/x/seed-1"], "out", ["out/seed-0", "out/seed-1"]),
        (["s/x/seed-0", "s/y/seed-0"], "out", ["out/x-seed-0", "out/y-seed-0"]),
        (["s/x/seed-0", "s/x/seed-1"], None, ["s/x/seed-0-refined", "s/x/seed-1-refined"]),
    ],
)
def test_each_run_has_a_folder(runs, output, places):
    found = _places([Path(one) for one in runs], output and Path(output))
    assert found == [(Path(run), Path(place)) for run, place in zip(runs, places, strict=True)]


def test_one_run_twice_is_refused():
    with pytest.raises(RunError, match="one folder"):
        _places([Path("a"), Path("./a")], Path("out"))


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
    return calls


def test_it_prints_layers_models_and_the_choice(rampart, refining, tmp_path):
    out = tmp_path / "out"
    result = rampart("refine", "run", "-o", out, "--no-evaluate")
    assert result.status == 0, result.err
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["0.1250", "0.2500"], "least critical first"
    assert [line.split()[:2] for line in lines[4:6]] == [["0%", "70.0%"], ["50%", "75.0%"]]
    assert f"best at Linf 8/255: 50% of the change of stem; model in {out / 'model'}" in result.out
    assert refining == [(Path("run"), out, None, False)]


def test_options_become_settings_and_several_runs_resume_apart(rampart, refining, tmp_path):
    (tmp_path / "out" / "a").mkdir(parents=True)
    options = ("--lr", "0.1", "--choose", "expected", "--no-evaluate", "--resume")
    result = rampart("refine", "a", "b", "-o", tmp_path / "out", *options)
    assert result.status == 0, result.err
    wanted = Refinement(lr=0.1, choose="expected")
    assert [call[2:] for call in refining] == [(wanted, True), (wanted, False)]


@pytest.mark.parametrize("option", ["--lr=0", "--choose=clen", "--epochs=0"])
def test_wrong_options_are_refused(refused, refining, option, tmp_path):
    refused(option[2:].partition("=")[0].replace("choose", "rule"), "refine", "a", option)
    assert not refining
