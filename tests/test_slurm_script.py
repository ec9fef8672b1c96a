"""The script for a job of SLURM: signals, a requeue and the next start, with stand-ins."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "examples" / "slurm.sh"
#: In place of rampart: it says how it was called, saves at SIGTERM, and ends when told to.
RAMPART = """#!/bin/bash
echo "$*" >> calls
trap 'mkdir -p runs/one; touch runs/one/run.json; exit 143' TERM
touch started
while [ ! -e done ]; do sleep 0.02; done
exit "$(cat done)"
"""
SCONTROL = """#!/bin/bash
echo "$*" > requeued
"""


@pytest.fixture
def start(tmp_path):
    """Start the job; return its process once the training runs."""
    (tmp_path / "bin").mkdir()
    for name, text in (("rampart", RAMPART), ("scontrol", SCONTROL)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    started, processes = tmp_path / "started", []

    def begin():
        started.unlink(missing_ok=True)
        command = ["bash", str(SCRIPT), "runs/one", "data=photos/", "threat.eps=4/255"]
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "SLURM_JOB_ID": "7"}
        processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment))
        while not started.exists():
            assert processes[-1].poll() is None
            time.sleep(0.01)
        return processes[-1]

    yield begin
    (tmp_path / "done").write_text("0")
    for process in processes:
        process.wait()


def test_before_the_time_is_up_it_saves_and_requeues_and_then_resumes(start, tmp_path):
    job = start()
    job.send_signal(signal.SIGUSR1)
    assert job.wait(60) == 143
    assert (tmp_path / "requeued").read_text().split() == ["requeue", "7"]
    (tmp_path / "requeued").unlink()
    job = start()
    (tmp_path / "done").write_text("0")
    assert job.wait(60) == 0
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert first == "train data=photos/ threat.eps=4/255 -o runs/one"
    assert second == f"{first} --resume"
    assert not (tmp_path / "requeued").exists()


def test_at_a_preemption_it_saves_and_slurm_requeues(start, tmp_path):
    job = start()
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 143
    assert (tmp_path / "runs" / "one" / "run.json").exists()
    assert not (tmp_path / "requeued").exists()


def test_a_failure_is_not_requeued(start, tmp_path):
    job = start()
    (tmp_path / "done").write_text("2")
    assert job.wait(60) == 2
    assert not (tmp_path / "requeued").exists()
