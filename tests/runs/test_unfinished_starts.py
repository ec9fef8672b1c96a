"""A start that was killed at any moment is recognized, and nothing of it stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rampart.errors import RunError
from rampart.runs.lock import only_writer
from rampart.runs.run_folder import STARTING, RunFolder
from rampart.runs.settings_file import write_settings

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, os, shutil, sys
from pathlib import Path
from rampart.runs.lock import only_writer
from rampart.runs.run_folder import RunFolder
from rampart.runs.settings_file import write_settings
from tests.killed_at_every_change import kill_at_every_change

assert "torch" not in sys.modules
# A kill loses nothing that was written; only a power cut does.
os.fsync = lambda handle: None
folder, earlier = RunFolder(Path(sys.argv[1])), sys.argv[2] == "overwrite"
OLD = ("run.json", "config.yaml", "history.jsonl", "model/a", "checkpoints/step-1/b")

def prepare():
    shutil.rmtree(folder.path, ignore_errors=True)
    if earlier:
        for name in OLD:
            (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
            (folder.path / name).write_text("old")
        write_settings(folder.config, {"seed": 0})
        folder.status_file.unlink()
        folder.set_status("complete")

def start():
    with only_writer(folder.path):
        folder.require_free(resume=False, overwrite=earlier)
        folder.begin()
        write_settings(folder.config, {"seed": 1})
        folder.set_status("running")

def files():
    return {str(one.relative_to(folder.path)) for one in folder.path.rglob("*") if one.is_file()}

seen = {"old": 0, "unfinished": 0, "new": 0, "nothing": 0}
for changes in kill_at_every_change(start, prepare):
    if not folder.path.exists():
        seen["nothing"] += 1
        continue
    empty = not folder._entries()
    if folder.exists() and folder.settings() == {"seed": 0}:
        # Nothing of the earlier run is lost before the folder says so.
        assert set(OLD) <= files(), changes
        seen["old"] += 1
    elif folder.exists():
        assert folder.status() == "running"
        seen["new"] += 1
    else:
        for resume, overwrite in ((False, False), (False, True), (True, False)):
            if not (empty and resume):
                folder.require_free(resume=resume, overwrite=overwrite)
        seen["nothing" if empty else "unfinished"] += 1
    new = folder.exists()
    with only_writer(folder.path):
        folder.require_free(resume=False, overwrite=new)
        folder.begin()
        write_settings(folder.config, {"seed": 2})
        folder.set_status("running")
    assert files() == {"run.json", "config.yaml"}, (changes, files())
    assert [one.name for one in folder.path.iterdir() if one.name[0] == "."] == []
print(json.dumps(seen))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of POSIX")
@pytest.mark.parametrize("earlier", ["fresh", "overwrite"])
def test_a_start_killed_at_any_change_of_a_file_is_made_again(tmp_path, earlier):
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "run"), earlier],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    seen = json.loads(found.stdout)
    assert seen["unfinished"] > 5
    assert seen["new"] > 0
    assert (seen["old"] > 3) == (earlier == "overwrite")


def left_by_a_kill(path, *names):
    path.mkdir()
    for name in names:
        (path / name).touch()
    return RunFolder(path)


def test_run_json_without_a_configuration_is_an_unfinished_start(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.set_status("running")
    assert not folder.exists()
    for resume, overwrite in ((False, False), (False, True), (True, False)):
        folder.require_free(resume=resume, overwrite=overwrite)
    with pytest.raises(RunError, match="stopped before it began"):
        folder.require_finished()


def test_what_may_hold_results_is_no_unfinished_start(tmp_path):
    lost = RunFolder(tmp_path / "lost")
    lost.set_status("running")
    lost.checkpoints.mkdir()
    others = left_by_a_kill(tmp_path / "others", ".thesis.tex.17.tmp")
    for folder in (lost, others):
        for resume, overwrite in ((False, False), (False, True), (True, False)):
            with pytest.raises(RunError):
                folder.require_free(resume=resume, overwrite=overwrite)


def test_an_overwriting_that_was_killed_leaves_the_runs_of_others(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.begin()
    assert folder.status() == STARTING
    inside = RunFolder(folder.checkpoints / "mine")
    inside.path.mkdir(parents=True)
    write_settings(inside.config, {})
    inside.set_status("complete")
    with pytest.raises(RunError, match="mine"):
        folder.require_free(resume=False, overwrite=False)


def test_a_run_is_not_overwritten_while_it_is_being_evaluated(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    write_settings(folder.config, {})
    folder.set_status("complete")
    with only_writer(folder.evaluations / "first"):
        (folder.evaluations / "first" / "partial").mkdir()
        with pytest.raises(RunError, match=f"first is being written by process {os.getpid()}"):
            folder.require_free(resume=False, overwrite=True)
    folder.require_free(resume=False, overwrite=True)
