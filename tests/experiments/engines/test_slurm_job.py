"""A job in a process of its own, by submitit's executor for this machine."""

import signal
import time

import pytest

pytest.importorskip("submitit")

from submitit import LocalExecutor

from rampart.experiments.engines import slurm_job
from rampart.experiments.engines.outcome import Outcome
from rampart.experiments.engines.remote import RemoteRun, remote_run
from rampart.experiments.engines.slurm_job import SlurmJob
from rampart.runs.run_folder import RunFolder


@pytest.fixture
def restored():
    """Signal handlers as they were, after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "requeued"), [(signal.SIGUSR2, [signal.SIGUSR2]), (signal.SIGTERM, [])]
)
def test_only_the_warning_of_slurm_requeues_the_job(restored, monkeypatch, number, requeued):
    """And only after the run has stopped."""
    seen = []

    def carry_out(run, report):
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as interrupt:
            assert seen == []
            return Outcome(signal_number=interrupt.args[0])

    monkeypatch.setattr(slurm_job, "carry_out", carry_out)
    signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(number))
    outcome = SlurmJob(RemoteRun(b"", (), None, 1))()
    assert outcome == Outcome(signal_number=signal.SIGTERM)
    assert seen == requeued


@pytest.mark.slow
def test_a_job_is_preempted_and_its_successor_resumes(some_cells, tmp_path, monkeypatch):
    cell, bad = some_cells[:2]
    executor = LocalExecutor(tmp_path / "slurm")
    executor.update_parameters(timeout_min=10)
    cell.folder.parent.mkdir()
    job = executor.submit(SlurmJob(remote_run(cell, 1)))
    while not (cell.folder / "history.jsonl").exists():
        assert not job.done(), job.stderr()
        time.sleep(0.05)
    job._interrupt()
    outcome = job.result()
    assert outcome == Outcome()
    assert RunFolder(cell.folder).status() == "complete"
    assert len((cell.folder / "history.jsonl").read_text().splitlines()) == 3
    # A folder that the machine does not see.
    missing = SlurmJob(remote_run(bad, 1))
    bad.folder.parent.rename(tmp_path / "moved")
    assert "does not see" in executor.submit(missing).result().reason
