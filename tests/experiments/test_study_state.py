"""How far a study is, as its folder shows; tables of half of it; damage is set aside."""

import os
import shutil

import pytest
import yaml

from rampart.errors import RunError
from rampart.experiments.running import run_study
from rampart.experiments.study_cells import method_cells, planned_runs
from rampart.experiments.study_folder import keep_file
from rampart.experiments.study_state import STATES, open_study, read_state
from rampart.experiments.study_table import draw_study, write_table
from rampart.records.whole_folders import check_files
from rampart.runs.lock import only_writer


@pytest.fixture(scope="module")
def tree(tiny_settings):
    return {
        "base": {"model": "none", "data": "none"},
        "seeds": [0, 1],
        "axes": {"eps": ["1/255"], "task": {"photos": [*tiny_settings, "training.epochs=1"]}},
        "methods": ["fix", "standard"],
        "choices": {
            "tuned": {
                "method": "fix",
                "seeds": [7],
                "among": {"low": ["optimizer.head_lr=1e-3"], "high": ["optimizer.head_lr=1e-2"]},
            }
        },
    }


@pytest.fixture(scope="module")
def whole(tree, tmp_path_factory):
    """The folder of a finished study."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "study.yaml").write_text(yaml.safe_dump(tree))
    study, out = open_study(folder)
    assert not run_study(study, out).failures
    return folder


@pytest.fixture
def place(whole, tmp_path):
    """A copy of it."""
    shutil.copytree(whole, tmp_path / "study")
    return tmp_path / "study"


def read(place):
    return read_state(*open_study(place))


def states(place):
    state = read(place)
    return {one: count for one in STATES if (count := state.count(one))}


def cell_of(place, method, seed):
    study, out = open_study(place)
    (cell,) = (c for c in method_cells(study, out) if (c.method, c.config.seed) == (method, seed))
    return cell


def test_a_study_that_has_not_begun_is_missing_and_waits_for_its_choice(tree, tmp_path):
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(tree))
    state = read_state(*open_study(tmp_path / "file.yaml", tmp_path / "none"))
    assert [run.state for run in state.runs] == ["missing"] * 6
    assert state.waiting == {("1/255, photos", "tuned"): 2}
    assert state.count("missing") == 8
    assert not (tmp_path / "none").exists()


def test_a_finished_study_is_done_and_its_figures_are_those_of_the_runs(place):
    study, out = open_study(place)
    assert states(place) == {"done": 8}
    assert read(place).figures == run_study(study, out).figures


def test_every_state_is_told(place):
    running, failed, interrupted, missing = (
        cell_of(place, method, seed) for method in ("fix", "standard") for seed in (0, 1)
    )
    for cell in (running, failed, interrupted):
        for record in cell.folder.glob("evaluations/*/record.json"):
            record.unlink()
    failed.error_file.write_text("name\nthe disk is full\n\nTraceback\n")
    shutil.rmtree(missing.folder)
    with only_writer(running.folder):
        found = {run.cell.folder: run for run in read(place).runs}
        assert states(place) == {
            "done": 4,
            "running": 1,
            "failed": 1,
            "interrupted": 1,
            "missing": 1,
        }
    assert found[running.folder].state == "running"
    assert f"process {os.getpid()} on" in found[running.folder].detail
    assert (found[failed.folder].state, found[failed.folder].detail) == (
        "failed",
        "the disk is full",
    )
    assert found[interrupted.folder].detail == "not evaluated"
    assert found[missing.folder].state == "missing"


def test_an_evaluation_in_progress_is_running(place):
    cell = cell_of(place, "fix", 0)
    (record,) = cell.folder.glob("evaluations/*/record.json")
    record.unlink()
    with only_writer(record.parent):
        assert states(place) == {"done": 7, "running": 1}


def test_runs_of_other_settings_are_counted_and_never_used(place, tree):
    changed = tree | {"methods": {"fix": ["schedule=linear"], "standard": ["schedule=standard"]}}
    (place / "study.yaml").write_text(yaml.safe_dump(changed | {"choices": {}}))
    state = read(place)
    assert states(place) == {"done": 2, "missing": 2}
    assert {path.parent.name for path in state.others} == {"fix", "tuned", "low", "high"}
    assert {one.method for one in state.figures} == {"standard"}


def test_tables_and_pictures_work_on_half_of_it(place):
    for seed in (0, 1):
        shutil.rmtree(cell_of(place, "standard", seed).folder)
    shutil.rmtree(cell_of(place, "fix", 1).folder)
    study, out = open_study(place)
    state = read(place)
    text = write_table(state.figures, planned_runs(study), out, ("fix",))
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert rows[2:] == ["fix (1 of 2 runs)", "standard (0 of 2 runs)", "tuned"]
    assert draw_study(state.figures, planned_runs(study), out).stat().st_size > 0
    with pytest.raises(RunError, match="no run"):
        draw_study([], planned_runs(study), out)


def damaged_samples(folder):
    (file,) = folder.glob("evaluations/*/samples.parquet")
    file.write_bytes(file.read_bytes()[:-9])
    return file.parent


def damaged_record(folder):
    (file,) = folder.glob("evaluations/*/record.json")
    file.write_text("{")
    return file.parent


def damaged_status(folder):
    (folder / "run.json").write_text('{"status"')
    return folder


def damaged_configuration(folder):
    (folder / "config.yaml").write_text("model: [")
    return folder


@pytest.mark.parametrize(
    "damage", [damaged_samples, damaged_record, damaged_status, damaged_configuration]
)
def test_damage_is_named_set_aside_and_made_good(place, damage):
    study, out = open_study(place)
    figures = {(f.method, f.seed): f._replace(seconds=0) for f in read(place).figures}
    cell = cell_of(place, "fix", 0)
    what = damage(cell.folder)
    (run,) = (run for run in read(place).runs if run.cell.folder == cell.folder)
    assert run.state == "failed"
    assert run.figures is None
    assert str(what) in run.detail
    result = run_study(study, out)
    assert not result.failures
    assert {(f.method, f.seed): f._replace(seconds=0) for f in result.figures} == figures
    (reason,) = place.glob("runs/**/set-aside/1/reason.txt")
    assert str(what) in reason.read_text()
    assert (reason.parent / what.name).is_dir()
    assert read(place).others == ()


def test_a_folder_or_file_that_is_not_enough_is_answered(place, tree, tmp_path):
    with pytest.raises(RunError, match="holds no study.yaml"):
        open_study(tmp_path)
    with pytest.raises(RunError, match="--output"):
        open_study(place / "study.yaml")
    with pytest.raises(RunError, match="one too many"):
        open_study(place, tmp_path)


def test_the_folder_keeps_the_file(tree, tmp_path):
    file = tmp_path / "file.yaml"
    file.write_text("# mine\n" + yaml.safe_dump(tree))
    study, _ = open_study(file, tmp_path)
    keep_file(study, file, tmp_path / "out")
    assert open_study(tmp_path / "out") == (study, tmp_path / "out")
    assert (tmp_path / "out" / "study.yaml").read_text() == file.read_text()


def test_a_changed_copy_of_the_file_is_refused(tree, tmp_path):
    file, out = tmp_path / "file.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(tree))
    study, _ = open_study(file, out)
    keep_file(study, file, out)
    copy = out / "study.yaml"
    text = copy.read_text()
    copy.write_text(text.replace("fix", "mix", 1))
    assert copy.read_text() != text
    with pytest.raises(RunError, match=r"study.yaml does not match its checksum.*study run"):
        open_study(out)
    assert len(check_files(out).faults) == 1
    keep_file(study, file, out)
    assert open_study(out)[0] == study
    assert not check_files(out).faults
