"""The runs and evaluations below a folder."""

import pytest

from rampart.runs.contents import evaluations_in, runs_in, spell
from rampart.runs.run_folder import RunFolder


@pytest.fixture
def study(tmp_path):
    for method in ("fix", "standard"):
        folder = RunFolder(tmp_path / "runs" / "photos" / method / "seed-0")
        folder.path.mkdir(parents=True)
        folder.config.write_text("model: m")
        folder.set_status("complete")
        (folder.evaluations / "test").mkdir(parents=True)
        (folder.evaluations / "test" / "record.json").write_text("{}")
    return tmp_path


def test_runs_and_evaluations_are_found_at_any_depth(study):
    fix, standard = (study / "runs/photos" / name / "seed-0" for name in ("fix", "standard"))
    assert runs_in(study) == runs_in(study / "runs") == [fix, standard]
    assert runs_in(fix) == [], "only below the folder"
    assert evaluations_in(fix) == [fix / "evaluations" / "test"]
    assert len(evaluations_in(study)) == 2
    (standard / "evaluations" / "test" / "partial").mkdir()
    (standard / "run.json").unlink()
    assert (len(evaluations_in(study)), runs_in(study)) == (1, [fix])
    assert evaluations_in(study / "nothing") == []


def test_many_paths_are_counted(study):
    assert spell(["a", "b"]) == "a or b"
    assert spell(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
