"""SLURM: the job script, the queue, and what is missing before anything starts."""

import pickle
import sys
from pathlib import Path

import fake_slurm
import pytest

pytest.importorskip("submitit")

from rampart import extras
from rampart.errors import InvalidArgument, MissingExtra, RunError, UnknownName
from rampart.experiments.engines import slurm
from rampart.experiments.engines.choosing import Wanted, open_engine
from rampart.experiments.engines.options import RunResources
from rampart.experiments.engines.outcome import Outcome

RECORDED = Path(__file__).with_name("job_script.txt")
OPTIONS = {"time": 720, "partition": "gpu", "account": "robust", "mem": "32GB"}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """The folder of SLURM's commands, in which jobs stay in the queue."""
    monkeypatch.setattr(slurm, "POLL", 0.01)
    folder = fake_slurm.install(tmp_path / "bin", monkeypatch)
    (folder / "hold").touch()
    return folder


def carry_out(cells, out, *, detach=False, end=None, processes=1):
    """Carry out runs; `end` stands for the cluster and gets the folder of submitit."""
    resources = RunResources(cpus=4, gpus=processes, processes=processes)
    wanted = Wanted(resources, slurm=OPTIONS, workers=2, detach=detach)
    lines = []

    def on_progress(cell, line):
        lines.append(line)
        if end is not None:
            end(out / "slurm", line)

    with open_engine("slurm", wanted, out) as engine:
        found = [
            (cell.config.seed, failure) for cell, failure in engine.carry_out(cells, on_progress)
        ]
    return found, lines


def finish(outcome):
    """End every job that is submitted, with an outcome."""

    def end(folder, line):
        if "submitted" in line:
            job = line.split()[1]
            result = folder / f"{job}_0_result.pkl"
            result.write_bytes(pickle.dumps(("success", outcome)))

    return end


def test_the_job_script_is_the_recorded_one(some_cells, cluster, tmp_path):
    found, lines = carry_out(some_cells, tmp_path / "out", detach=True)
    assert found == []
    assert [line.split()[1] for line in lines] == ["7_0", "7_1", "7_2"]
    text = (cluster / "script-7").read_text()
    text = text.replace(str(tmp_path / "out"), "OUT").replace(sys.executable, "PYTHON")
    assert text == RECORDED.read_text()


def test_the_processes_of_a_run_are_one_task_of_one_machine(some_cells, cluster, tmp_path):
    out = tmp_path / "out"
    carry_out(some_cells, out, detach=True, processes=2)
    text = (cluster / "script-7").read_text()
    text = text.replace(str(out), "OUT").replace(sys.executable, "PYTHON")
    recorded = RECORDED.read_text()
    assert text == recorded.replace("--gpus-per-node=1", "--gpus-per-node=2")
    assert "--nodes=1" in text
    jobs = sorted(out.glob("slurm/*submitted.pkl"))
    runs = [pickle.loads(job.read_bytes()).function.run for job in jobs]
    assert [(run.processes, run.threads, run.gpu) for run in runs] == [(2, 4, True)] * 3


def test_a_second_command_submits_nothing_that_is_queued(some_cells, cluster, tmp_path):
    out = tmp_path / "out"
    carry_out(some_cells[:2], out, detach=True)
    (cluster / "queued-7_1").unlink()
    found, lines = carry_out(some_cells, out, end=finish(Outcome()), detach=True)
    assert lines[0] == "job 7_0 is in the queue"
    assert [line.split()[1] for line in lines[1:]] == ["8_0", "8_1"]
    finish(Outcome())(out / "slurm", "job 7_0 submitted")
    found, lines = carry_out(some_cells, out)
    assert sorted(found) == [(0, None), (1, None), (2, None)]


def test_a_job_that_is_lost_is_submitted_once_more(some_cells, cluster, tmp_path):
    def vanish(folder, line):
        for path in cluster.glob("queued-*"):
            path.unlink()

    [(_, failure)], lines = carry_out(some_cells[:1], tmp_path / "out", end=vanish)
    assert failure.reason.startswith("in both tries its job 8 ended without a result")
    assert sum("tried again" in line for line in lines) == 1
    assert len(list(cluster.glob("script-*"))) == 2


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome("planted", "Traceback"), "planted"),
        (Outcome(signal_number=15), "in both tries its job was stopped by SIGTERM"),
    ],
)
def test_a_failed_and_a_cancelled_job_are_reported(some_cells, cluster, tmp_path, outcome, reason):
    [(_, failure)], _ = carry_out(some_cells[:1], tmp_path / "out", end=finish(outcome))
    assert failure.reason == reason
    assert reason in some_cells[0].error_file.read_text()


def test_an_interrupt_cancels_all_jobs(some_cells, cluster, tmp_path, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt(15)

    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(slurm.Queue, "ended", interrupt)
    with pytest.raises(KeyboardInterrupt):
        carry_out(some_cells[:2], tmp_path / "out")
    assert (cluster / "cancelled").read_text().split() == ["7_0", "7_1"]


def test_a_refusal_of_sbatch_is_passed_on(some_cells, cluster, tmp_path):
    (cluster / "refuse").touch()
    with pytest.raises(RunError, match="invalid partition"):
        carry_out(some_cells, tmp_path / "out")


@pytest.mark.parametrize(
    ("wanted", "kind", "says"),
    [
        (Wanted(RunResources(gpus=0.5), slurm=OPTIONS), InvalidArgument, r"^resources.gpus=0.5"),
        (Wanted(slurm={**OPTIONS, "nodes": True}), InvalidArgument, r"^slurm.nodes=true"),
        (Wanted(), InvalidArgument, r"^slurm.time=.*time: 720"),
        (Wanted(slurm={**OPTIONS, "partion": "x"}), UnknownName, "did you mean partition"),
    ],
)
def test_wrong_options_are_refused(cluster, tmp_path, wanted, kind, says):
    with pytest.raises(kind, match=says), open_engine("slurm", wanted, tmp_path / "out"):
        pass
    assert not list(cluster.glob("script-*"))


def test_without_submitit_or_slurm_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = Wanted(slurm=OPTIONS)
    with pytest.raises(RunError, match="command sbatch"), open_engine("slurm", wanted, tmp_path):
        pass
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rampart-rft\[slurm\]"):
        slurm.require_slurm()
