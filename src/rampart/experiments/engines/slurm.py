"""Runs as jobs of SLURM, through submitit.

Every run is a job, of one array. The folder slurm/ of the study holds the scripts and logs, and
jobs.json the job of every run: a second command waits for jobs that are still queued or running.
"""

import json
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

from rampart.errors import InvalidArgument, RunError, UnknownName, reason
from rampart.experiments.cells import Cell, FailedRun
from rampart.experiments.engines.base import OnProgress
from rampart.experiments.engines.options import RunResources, SlurmOptions
from rampart.experiments.engines.outcome import Outcome
from rampart.experiments.engines.remote import receive, remote_run
from rampart.experiments.engines.slurm_job import SlurmJob
from rampart.experiments.engines.tries import Lost, Tries
from rampart.extras import require_extra
from rampart.files import read_text, write_atomic
from rampart.value_types import require_no_booleans

#: Seconds between two looks at the queue.
POLL = 15.0
#: A job that is in the queue no longer has so many looks to show its result.
LOOKS = 3
#: How often a job may use up its time; every time the run goes on from its checkpoint.
REQUEUES = 50


def require_slurm() -> None:
    """Refuse to go on without submitit and SLURM.

    Raises:
        MissingExtra: submitit is not installed.
        RunError: this machine cannot submit jobs.
    """
    require_extra("submitit", "slurm", "--engine slurm")
    for command in ("sbatch", "srun", "squeue"):
        if shutil.which(command) is None:
            raise RunError(
                f"--engine slurm needs the command {command}, which is not on the path: run it on "
                "a machine from which jobs are submitted, or use --engine processes."
            )


def make_executor(
    folder: Path, resources: RunResources, options: SlurmOptions, workers: int | None
) -> Any:
    """Return submitit's executor.

    Args:
        folder: for scripts and logs.
        resources: of one run.
        options: of sbatch, by submitit's names; they replace those of the resources.
        workers: largest number of jobs that run at once; None for no limit.

    Raises:
        InvalidArgument: SLURM cannot give these resources, or an option is missing or wrong.
        UnknownName: an option that sbatch does not have.
    """
    from submitit import SlurmExecutor
    from submitit.slurm.slurm import _make_sbatch_string

    gpus = resources.gpus or 0
    if gpus != int(gpus):
        do = "run several studies on one GPU by Ray, or write a whole number"
        raise InvalidArgument("resources.gpus", gpus, "whole GPUs under SLURM", do)
    if "time" not in options:
        do = "write slurm: {time: 720} in the study's file; a run that needs more time is requeued"
        raise InvalidArgument("slurm.time", "", "the minutes of a job", do)
    known = SlurmExecutor._valid_parameters()
    for name in options:
        if name not in known:
            raise UnknownName("key of slurm", name, known)
    require_no_booleans("slurm", options, _make_sbatch_string)
    given: dict[str, Any] = {"job_name": "rampart", "cpus_per_task": resources.all_cpus}
    given |= {"gpus_per_node": int(gpus)} if gpus else {}
    given |= {"array_parallelism": workers} if workers else {}
    executor = SlurmExecutor(folder, max_num_timeout=REQUEUES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            executor.update_parameters(**given, **options)
    except (TypeError, ValueError, UserWarning) as error:
        raise InvalidArgument("slurm", options, "options of sbatch", reason(error)) from error
    return executor


@dataclass(frozen=True)
class SlurmJobs:
    """Carries out runs as jobs.

    Attributes:
        executor: of submitit.
        resources: of one run.
        detach: leave the jobs to themselves once they are submitted.
    """

    executor: Any
    resources: RunResources
    detach: bool = False

    def carry_out(
        self, cells: Sequence[Cell], on_progress: OnProgress
    ) -> Iterator[tuple[Cell, FailedRun | None]]:
        """Carry out runs; yield each as it ends, none if they are left to themselves."""
        queue, tries = Queue(self.executor, self.resources), Tries(on_progress)
        queue.add(cells, on_progress)
        if self.detach:
            return
        try:
            while queue.jobs:
                lost = []
                for cell, outcome in queue.ended():
                    if not isinstance(outcome, Lost):
                        yield cell, receive(cell, outcome)
                    elif failure := tries.failure(cell, outcome):
                        yield cell, failure
                    else:
                        lost.append(cell)
                queue.add(lost, on_progress)
                if queue.jobs:
                    time.sleep(POLL)
        except BaseException:
            queue.cancel()
            raise


class Queue:
    """The jobs of the runs that have not ended."""

    def __init__(self, executor: Any, resources: RunResources) -> None:
        self._executor, self._resources = executor, resources
        self._file = Path(executor.folder) / "jobs.json"
        self._absent: dict[Path, int] = {}
        self.jobs: dict[Path, tuple[Cell, Any]] = {}

    def add(self, cells: Sequence[Cell], on_progress: OnProgress) -> None:
        """Submit runs, except those whose jobs an earlier command has left in the queue."""
        earlier, queued = self._read(), queued_jobs() if cells else set()
        new = []
        for cell in cells:
            number = earlier.get(str(cell.folder.absolute()), "")
            if number in queued:
                self.jobs[cell.folder] = (
                    cell,
                    self._executor.job_class(self._executor.folder, number),
                )
                on_progress(cell, f"job {number} is in the queue")
            else:
                new.append(cell)
        for cell, job in zip(new, self._submit(new), strict=True):
            self.jobs[cell.folder] = cell, job
            on_progress(cell, f"job {job.job_id} submitted, log {job.paths.stdout}")
        numbers = {str(cell.folder.absolute()): job.job_id for cell, job in self.jobs.values()}
        write_atomic(self._file, json.dumps(earlier | numbers, indent=1) + "\n")

    def ended(self) -> list[tuple[Cell, Outcome | Lost]]:
        """Return the runs whose jobs have ended since the last call."""
        queued, found = self._queued(), list[tuple[Cell, Outcome | Lost]]()
        for cell, job in list(self.jobs.values()):
            if job.paths.result_pickle.exists():
                found.append((cell, outcome_of(job)))
            elif job.job_id in queued:
                self._absent.pop(cell.folder, None)
            else:
                # The result may take time to arrive on this machine.
                self._absent[cell.folder] = self._absent.get(cell.folder, 0) + 1
                if self._absent[cell.folder] >= LOOKS:
                    found.append((cell, Lost(f"its job {job.job_id} ended without a result")))
        for cell, _ in found:
            del self.jobs[cell.folder]
        return found

    def cancel(self) -> None:
        """Cancel all jobs; each run saves a checkpoint."""
        for _, job in self.jobs.values():
            job.cancel(check=False)

    def _queued(self) -> set[str]:
        """Ids of the jobs in the queue; all of ours while squeue does not answer."""
        try:
            return queued_jobs()
        except RunError:
            return {job.job_id for _, job in self.jobs.values()}

    def _submit(self, cells: Sequence[Cell]) -> list[Any]:
        if not cells:
            return []
        for cell in cells:
            cell.folder.parent.mkdir(parents=True, exist_ok=True)
        cpus = self._resources.all_cpus
        gpu = self._resources.gpus != 0
        count = self._resources.processes
        runs = [SlurmJob(remote_run(cell, cpus, gpu=gpu, processes=count)) for cell in cells]
        try:
            jobs: list[Any] = self._executor.submit_array(runs)
        except Exception as error:
            # submitit passes on what sbatch printed.
            raise RunError(f"sbatch refused the jobs: {str(error).strip()}") from error
        return jobs

    def _read(self) -> dict[str, str]:
        try:
            read: dict[str, str] = json.loads(read_text(self._file))
        except (OSError, ValueError):
            return {}
        return read


def queued_jobs() -> set[str]:
    """Return the ids of the user's jobs that wait or run, one per element of an array.

    Raises:
        RunError: squeue fails.
    """
    command = ["squeue", "--noheader", "--array", "--me", "--format=%i"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(f"squeue failed: {done.stderr.strip()}")
    return set(done.stdout.split())


def outcome_of(job: Any) -> Outcome | Lost:
    """Return the outcome of a job that has written its result."""
    error = job.exception()
    if error is not None:
        lines = str(error).strip().splitlines()
        return Outcome(lines[-1] if lines else "its job failed", str(error))
    outcome: Outcome = job.result()
    if outcome.signal_number:
        return Lost(f"its job was stopped by {Signals(outcome.signal_number).name}")
    return outcome
