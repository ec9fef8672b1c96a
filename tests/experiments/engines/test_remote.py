"""A run that another program starts in a process."""

import os
from pathlib import Path

import pytest

from rampart.experiments.cells import FailedRun
from rampart.experiments.engines import remote
from rampart.experiments.engines.launcher import Launcher
from rampart.experiments.engines.outcome import Outcome
from rampart.experiments.engines.remote import carry_out, receive, remote_run
from rampart.runs.lock import Writer


@pytest.fixture(autouse=True)
def process(monkeypatch, tmp_path):
    """What a run changes in its own process is restored."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "scratch"))


@pytest.fixture
def attempted(monkeypatch):
    """The runs that were attempted; each writes a file."""
    seen = []

    def attempt(cell, report, carry_out):
        seen.append(cell)
        cell.folder.mkdir(parents=True)
        (cell.folder / "run.json").write_text("{}")

    monkeypatch.setattr(remote, "attempt", attempt)
    return seen


@pytest.fixture
def cell(some_cells):
    some_cells[0].folder.parent.mkdir()
    return some_cells[0]


def test_a_run_on_shared_storage(cell, attempted):
    assert carry_out(remote_run(cell, 1), print) == Outcome()
    assert receive(cell, Outcome()) is None
    assert attempted == [cell]


def test_a_run_that_is_pulled_leaves_nothing_behind(cell, attempted, tmp_path):
    outcome = carry_out(remote_run(cell, 1, pulled=True), print)
    assert not cell.folder.exists()
    cell.error_file.write_text("of an earlier try")
    assert receive(cell, outcome) is None
    assert [path.name for path in cell.folder.iterdir()] == ["run.json"]
    assert not cell.error_file.exists()
    (own,) = attempted
    assert own.folder.is_relative_to(tmp_path / "scratch")
    assert not own.folder.exists()


def test_a_pulled_run_that_failed_brings_its_error(cell, monkeypatch):
    def attempt(own, report, carry_out):
        own.folder.mkdir(parents=True)
        own.error_file.write_text("name\nplanted\n\nTraceback: of the run")
        return FailedRun(own, "planted")

    monkeypatch.setattr(remote, "attempt", attempt)
    outcome = carry_out(remote_run(cell, 1, pulled=True), print)
    failure = receive(cell, outcome)
    assert (failure.cell, failure.reason) == (cell, "planted")
    assert "Traceback: of the run" in cell.error_file.read_text()
    assert not cell.folder.exists()


def test_a_signal_is_no_failure(cell, monkeypatch):
    def stop(own, report, carry_out):
        raise KeyboardInterrupt(15)

    monkeypatch.setattr(remote, "attempt", stop)
    assert carry_out(remote_run(cell, 1), print) == Outcome(signal_number=15)


def test_a_machine_that_does_not_see_the_folder_is_named(cell, attempted, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "node7")
    cell.folder.parent.rmdir()
    outcome = carry_out(remote_run(cell, 1), print)
    assert "node7" in outcome.reason
    assert "results: pulled" in outcome.reason
    monkeypatch.setattr(Path, "cwd", lambda: Path("/missing"))
    assert "/missing" in carry_out(remote_run(cell, 1), print).reason
    assert not attempted
    # Without shared storage the folder may be missing.
    assert carry_out(remote_run(cell, 1, pulled=True), print).packed


def test_relative_paths_are_those_of_the_study(cell, attempted, tmp_path, monkeypatch):
    run = remote_run(cell, 1)
    monkeypatch.chdir(tmp_path.parent)
    carry_out(run, print)
    assert Path.cwd() == tmp_path


def test_the_users_parts_are_imported_before_the_run_is_read(cell, attempted, tmp_path):
    part = tmp_path / "part.py"
    part.write_text("raise ValueError('of the user')")
    run = remote.RemoteRun(b"not read", (str(part),), tmp_path, 1)
    assert "of the user" in carry_out(run, print).reason


def test_several_processes_are_started_where_the_run_arrives(cell, monkeypatch):
    seen = []
    monkeypatch.setattr(remote, "attempt", lambda cell, report, carry_out: seen.append(carry_out))
    assert carry_out(remote_run(cell, 4, gpu=False, processes=2), print) == Outcome()
    assert seen == [Launcher(2, 4, gpu=False)]


def test_without_gpus_a_run_sees_none(cell, attempted, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    carry_out(remote_run(cell, 1, gpu=False), print)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_dying_writer_is_waited_for(cell, attempted, monkeypatch):
    answers = [Writer("node7", 12, 0.0, "now", "k"), Writer("node7", 12, 0.0, "now", "k"), None]
    monkeypatch.setattr(remote, "writer_of", lambda folder: answers.pop(0))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    lines = []
    assert carry_out(remote_run(cell, 1), lines.append) == Outcome()
    assert (answers, len(lines)) == ([], 1)
    assert "process 12 on node7" in lines[0]
