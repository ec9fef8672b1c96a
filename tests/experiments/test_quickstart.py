import json

import pytest

from rampart.errors import RunError
from rampart.experiments import quickstart
from rampart.recipes.config.loading import parse_config, save_config
from rampart.runs.contents import runs_in
from rampart.runs.lock import only_writer
from rampart.runs.run_folder import RunFolder


def test_the_configuration_is_that_of_the_embedded_task():
    config = quickstart.quickstart_config("two-hinge", 3)
    assert (config.threat.eps, config.training.epochs, config.seed) == (20 / 255, 15, 3)
    assert config.schedule.name == "two-hinge"
    assert quickstart.quickstart_config("fix", 0).model == config.model


@pytest.fixture
def short(monkeypatch):
    """One epoch of one step attacks: the way through, not the result."""
    whole = quickstart.quickstart_config

    def config(schedule, seed):
        tree = whole(schedule, seed).model_dump(mode="json")
        tree["training"] |= {"epochs": 1, "batch_size": 500}
        tree["attack"]["steps"] = tree["evaluation"]["attack"]["steps"] = 1
        return parse_config(tree)

    monkeypatch.setattr(quickstart, "quickstart_config", config)


def test_every_schedule_is_trained_evaluated_and_compared(short, tmp_path, monkeypatch, capsys):
    from rampart.cli.quickstart import quickstart as verb

    verb(output=tmp_path / "out", full=False, resume=False, overwrite=False)
    rows = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [row["schedule"] for row in rows] == list(quickstart.SCHEDULES)
    assert all(row["n"] == 500 and row["eps"] == 20 / 255 for row in rows)
    assert "independent evidence" in " ".join(capsys.readouterr().out.split())
    stamps = [p.stat().st_mtime_ns for p in sorted((tmp_path / "out").glob("*/model/*"))]
    with pytest.raises(RunError, match="--resume"):
        quickstart.run_quickstart(tmp_path / "out")
    quickstart.run_quickstart(tmp_path / "out", resume=True)
    again = [p.stat().st_mtime_ns for p in sorted((tmp_path / "out").glob("*/model/*"))]
    assert stamps == again


def run_of_others(path, schedule="fix", seed=0):
    tree = quickstart.quickstart_config(schedule, seed).model_dump(mode="json")
    folder = RunFolder(path)
    folder.checkpoints.mkdir(parents=True)
    save_config(parse_config({**tree, "data": "digit-pairs", "seed": 7}), folder.config)
    folder.set_status("complete")
    return folder


@pytest.mark.parametrize("how", ["overwrite", "resume"])
@pytest.mark.parametrize("name", ["mine", "fix-seed0", "fix-seed7x", "group/mine"])
def test_the_runs_of_others_are_named_and_stay(name, how, tmp_path):
    other = run_of_others(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match=f"not of a quickstart .*{name.partition('/')[0]}.*--output"):
        quickstart.run_quickstart(tmp_path, seeds=(), **{how: True})
    assert other.exists()
    assert sorted(tmp_path.rglob("*")) == before


def test_the_comparison_of_others_stays(tmp_path):
    for file, content in (("comparison.json", '[{"run": "mine"}]'), ("curves.png", "mine")):
        folder = tmp_path / file
        folder.mkdir()
        (folder / file).write_text(content)
        with pytest.raises(RunError, match=f"{file}|mine"):
            quickstart.run_quickstart(folder, seeds=(), overwrite=True)
        assert (folder / file).read_text() == content


def test_a_run_that_another_process_writes_is_not_deleted(short, tmp_path):
    quickstart.run_quickstart(tmp_path, seeds=(0,))
    with only_writer(tmp_path / "fix-seed0"), pytest.raises(RunError, match="being written"):
        quickstart.run_quickstart(tmp_path, seeds=(), overwrite=True)
    assert len(runs_in(tmp_path)) == len(quickstart.SCHEDULES)
    quickstart.run_quickstart(tmp_path, seeds=(), overwrite=True)
    assert runs_in(tmp_path) == []


def test_other_files_are_not_deleted(short, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="exists"):
        quickstart.run_quickstart(tmp_path)
    assert quickstart.run_quickstart(tmp_path, seeds=(), overwrite=True) == []
    assert (tmp_path / "notes.txt").read_text() == "mine"
