import os

import pytest

from rampart.errors import RunError
from rampart.runs.run_folder import RunFolder


def started(path):
    folder = RunFolder(path)
    path.mkdir()
    folder.config.write_text("seed: 0\n")
    folder.set_status("interrupted", step=3)
    return folder


def test_a_new_or_empty_folder_is_free(tmp_path):
    RunFolder(tmp_path / "new" / "deep").require_free(resume=False, overwrite=False)
    RunFolder(tmp_path).require_free(resume=False, overwrite=False)


def test_an_existing_run_needs_resume_or_overwrite(tmp_path):
    folder = started(tmp_path / "run")
    with pytest.raises(RunError, match="--resume .* --overwrite"):
        folder.require_free(resume=False, overwrite=False)
    folder.require_free(resume=True, overwrite=False)
    folder.require_free(resume=False, overwrite=True)
    with pytest.raises(RunError, match="contradict"):
        folder.require_free(resume=True, overwrite=True)
    with pytest.raises(RunError, match="exists: --overwrite"):
        folder.require_free(resume=None, overwrite=False)


def test_a_folder_of_other_things_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    folder = RunFolder(tmp_path)
    with pytest.raises(RunError, match="no run of Rampart"):
        folder.require_free(resume=False, overwrite=True)
    folder.clear()
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_nothing_to_resume(tmp_path):
    with pytest.raises(RunError, match="no run to resume"):
        RunFolder(tmp_path / "missing").require_free(resume=True, overwrite=False)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        RunFolder(tmp_path / "file").require_free(resume=False, overwrite=False)
    with pytest.raises(RunError, match="not a folder"):
        RunFolder(tmp_path / "file" / "run").require_free(resume=False, overwrite=False)


def test_a_folder_without_permission_fails_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunError, match="cannot be written"):
        RunFolder(tmp_path / "run").require_free(resume=False, overwrite=False)


def test_status_round_trip(tmp_path):
    folder = started(tmp_path / "run")
    assert folder.status() == "interrupted"
    assert RunFolder(tmp_path / "other").status() == "missing"


def test_a_config_yaml_alone_is_not_a_run(tmp_path):
    (tmp_path / "config.yaml").write_text("site: mine")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.tex").write_text("precious")
    folder = RunFolder(tmp_path)
    assert not folder.exists()
    with pytest.raises(RunError, match="no run of Rampart"):
        folder.require_free(resume=False, overwrite=True)
    folder.clear()
    assert (tmp_path / "model" / "thesis.tex").exists()


def test_overwriting_deletes_what_a_run_writes_and_nothing_else(tmp_path):
    folder = started(tmp_path / "run")
    (folder.path / "notes.txt").write_text("mine")
    folder.checkpoints.mkdir()
    folder.clear()
    assert [p.name for p in folder.path.iterdir()] == ["notes.txt"]


def other_run(run):
    started(run.path / "best")
    return run.path / "best" / "run.json"


def nested_run(run):
    (run.path / "evaluations" / "extra").mkdir(parents=True)
    started(run.path / "evaluations" / "extra" / "mine")
    return run.path / "evaluations" / "extra" / "mine" / "run.json"


def other_model(run):
    folder = run.path / "evaluations" / "reference"
    folder.mkdir(parents=True)
    text = '{"metadata": {"model": {"source": "timm"}}}'
    (folder / "record.json").write_text(text)
    return folder / "record.json"


def other_file(run):
    folder = run.path / "evaluations" / "plots"
    folder.mkdir(parents=True)
    (folder / "mine.svg").write_text("")
    return folder / "mine.svg"


@pytest.mark.parametrize("add", [other_run, nested_run, other_model, other_file])
def test_overwriting_refuses_to_delete_what_others_made(add, tmp_path):
    folder = started(tmp_path / "run")
    own = folder.evaluations / "own"
    own.mkdir(parents=True)
    (own / "record.json").write_text('{"metadata": {"model": {"source": "run"}}}')
    folder.require_free(resume=False, overwrite=True)
    file = add(folder)
    with pytest.raises(RunError, match=f"more than its own run .*{file.parent.name}.*--output"):
        folder.require_free(resume=False, overwrite=True)
    folder.require_free(resume=True, overwrite=False)


@pytest.mark.parametrize("place", ["evaluations/deep/b", "b", "link/b"])
def test_a_run_does_not_begin_inside_another_one(tmp_path, place):
    outer = started(tmp_path / "run")
    (outer.path / "link").symlink_to(tmp_path / "run")
    inner = RunFolder(outer.path / place)
    for resume, overwrite in ((False, False), (False, True), (None, True)):
        with pytest.raises(RunError, match="lies inside the run"):
            inner.require_free(resume, overwrite)
    RunFolder(tmp_path / "run-b").require_free(resume=False, overwrite=False)
    # One that an earlier version began goes on.
    inner.path.parent.mkdir(parents=True, exist_ok=True)
    started(inner.path).require_free(resume=True, overwrite=False)


def test_a_damaged_status_is_an_error(tmp_path):
    folder = started(tmp_path / "run")
    folder.status_file.write_text("{")
    with pytest.raises(RunError, match="run.json is damaged"):
        folder.status()


def test_a_new_status_retains_the_data(tmp_path):
    folder = started(tmp_path / "run")
    folder.set_status("running", data="abc")
    folder.set_status("complete")
    assert folder.facts()["data"] == "abc"
