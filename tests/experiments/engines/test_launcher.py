"""A run in several processes: the command, and what its processes report."""

import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from rampart.alive import own_start
from rampart.errors import RunError
from rampart.experiments.cells import attempt, train_and_evaluate
from rampart.experiments.engines import launched
from rampart.experiments.engines.launcher import (
    RUN,
    Launched,
    Launcher,
    LostProcessError,
    carrier,
    read_outcomes,
    write_outcome,
)
from rampart.experiments.engines.outcome import Outcome
from rampart.files import scratch_beside
from rampart.training.interrupts import Interrupted

STUB = Path(__file__).with_name("launched_stub.py")
RECORDED = """\
PYTHON -m accelerate.commands.launch --multi_gpu --gpu_ids=all --num_machines=1 --num_processes=2
--num_cpu_threads_per_process=3 --mixed_precision=no --dynamo_backend=no --main_process_port=0
-m rampart.experiments.engines.launched FOLDER
"""


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """A function of a word that makes a launcher whose processes do as it says."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def make(word):
        def command(self, folder):
            return [sys.executable, str(STUB), word, str(folder)]

        monkeypatch.setattr(Launcher, "command", command)
        return Launcher(2)

    return make


def test_the_command_is_the_recorded_one():
    command = Launcher(2, threads=7).command(Path("FOLDER"))
    assert command[0] == sys.executable
    assert ["PYTHON", *command[1:]] == RECORDED.split()


def test_accelerate_knows_every_option_of_the_command():
    from accelerate.commands.launch import launch_command_parser

    command = Launcher(2).command(Path("FOLDER"))
    read = launch_command_parser().parse_args(command[3:])
    assert (read.num_processes, read.multi_gpu, read.main_process_port) == (2, True, 0)
    assert read.module
    assert read.training_script_args == ["FOLDER"]


def test_one_process_is_this_process():
    assert carrier(1) is train_and_evaluate
    assert carrier(2, 4, gpu=False) == Launcher(2, 4, gpu=False)


def test_lines_are_reported_and_nothing_is_left_behind(stub, some_cells, tmp_path):
    lines = []
    stub("lives")(some_cells[0], lines.append)
    assert sorted(lines) == ["line of 0", "line of 1"]
    assert not list(tmp_path.glob("rampart-*"))
    assert [one.name for one in tmp_path.glob("runs/*")] == ["tries"]


def test_the_next_launch_removes_what_a_killed_one_has_left(stub, some_cells):
    place = some_cells[0].folder
    place.parent.mkdir()
    gone = scratch_beside(place)
    start = round(own_start())
    # As of a process with this number that started long ago.
    left = gone.with_name(gone.name.replace(f"-{start}-", f"-{start - 9999}-"))
    left.mkdir()
    stub("lives")(some_cells[0], lambda line: None)
    assert not left.exists()


def test_the_first_failure_is_the_failure_of_the_run(stub, some_cells):
    cell = some_cells[0]
    cell.folder.parent.mkdir()
    failure = attempt(cell, lambda line: None, stub("fails"))
    assert failure.reason == "planted in 0"
    assert "Traceback: of the run" in cell.error_file.read_text()


def test_a_process_that_dies_is_no_failure_of_its_peers(stub, some_cells):
    lines = []
    stub("dies")(some_cells[0], lines.append)
    (line,) = [line for line in lines if "tried again" in line]
    assert "one of its 2 processes died" in line


def test_a_process_that_dies_twice_fails_the_run(stub, some_cells):
    with pytest.raises(RunError) as error:
        stub("always")(some_cells[0], lambda line: None)
    says = str(error.value)
    assert says.startswith("in both tries one of its 2 processes died")
    assert says.endswith("another one failed: its peer is gone")
    assert "last words" in error.value.__notes__[0]


@pytest.mark.parametrize("last", [False, True])
def test_processes_without_a_trace_are_lost_with_the_log(tmp_path, last):
    from rampart.experiments.engines.launcher import _judge

    (tmp_path / "log.txt").write_text("exitcode: -9")
    write_outcome(tmp_path, 0, Outcome(signal_number=15))
    with pytest.raises(LostProcessError) as error:
        _judge(tmp_path, 2, 0, 1, last=last)
    assert error.value.__notes__ == ["exitcode: -9"]
    assert str(error.value).startswith("in both tries") == last


def test_a_signal_to_the_processes_alone_stops_the_run(stub, some_cells):
    with pytest.raises(KeyboardInterrupt) as stop:
        stub("stopped")(some_cells[0], lambda line: None)
    assert stop.value.args == (15,)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_passed_on_and_the_processes_are_waited_for(stub, some_cells, number):
    lines = []

    def report(line):
        lines.append(line)
        if len(lines) == 1:
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt) as stop:
        stub("waits")(some_cells[0], report)
    assert stop.value.args == (number,)
    assert len(lines) == 2


def test_a_study_that_cannot_go_on_kills_the_processes(stub, some_cells):
    def report(line):
        raise OSError("planted")

    before = threading.active_count()
    with pytest.raises(OSError, match="planted"):
        stub("waits")(some_cells[0], report)
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.05)
    # The thread that reads the output ends with the last process.
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (None, Outcome()),
        (RunError("planted"), Outcome("planted", "RunError: planted")),
        (ValueError("planted"), Outcome("ValueError: planted", "ValueError: planted")),
        (Interrupted(signal.SIGTERM, 3), Outcome(signal_number=15)),
        (KeyboardInterrupt(2), Outcome(signal_number=2)),
    ],
    ids=["none", "ours", "other", "checkpoint", "signal"],
)
def test_a_process_tells_how_it_ended(monkeypatch, some_cells, tmp_path, raised, outcome):
    seen = []

    def carry_out(cell, report):
        seen.append(cell)
        if raised is not None:
            raise raised

    monkeypatch.setattr(launched, "train_and_evaluate", carry_out)
    monkeypatch.setattr("torch.set_num_threads", seen.append)
    run = Launched(pickle.dumps(some_cells[0]), (), 3)
    (tmp_path / RUN).write_bytes(pickle.dumps(run))
    found = launched._carry_out(tmp_path)
    assert seen == [3, some_cells[0]]
    assert (found.reason, found.signal_number) == (outcome.reason, outcome.signal_number)
    assert found.detail.strip().endswith(outcome.detail)


def test_outcomes_come_in_the_order_in_which_the_processes_ended(tmp_path):
    for rank, reason in ((1, "first"), (0, "second")):
        write_outcome(tmp_path, rank, Outcome(reason))
    os.utime(tmp_path / "outcome-1", (1, 1))
    assert [one.reason for one in read_outcomes(tmp_path)] == ["first", "second"]
