"""Runs as tasks of Ray, on this machine or on the machines of a cluster.

Ray decides where a task runs, and waits for free resources. If its worker dies, the run is tried
once more; where the folder is shared, it goes on from its last checkpoint.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from signal import Signals
from typing import Any

from rampart.errors import RunError, reason
from rampart.experiments.cells import Cell, FailedRun
from rampart.experiments.engines.base import OnProgress
from rampart.experiments.engines.mailbox import Mailbox
from rampart.experiments.engines.outcome import Outcome
from rampart.experiments.engines.remote import RemoteRun, carry_out, receive, remote_run
from rampart.experiments.engines.tries import Lost, Tries
from rampart.experiments.ray_session import Resources

#: Seconds between two looks at the lines of progress, and after which they are given up.
_POLL, _SLOW = 1.0, 10.0


@dataclass(frozen=True)
class RayTasks:
    """Carries out runs as tasks of Ray.

    Attributes:
        ray: the module of Ray, which is started.
        resources: of each run, as `fit_resources` returns them.
        pulled: whether results are sent back instead of written to shared storage.
        processes: number of processes of accelerate that carry out each run.
    """

    ray: Any
    resources: Resources
    pulled: bool = False
    processes: int = 1

    def carry_out(
        self, cells: Sequence[Cell], on_progress: OnProgress
    ) -> Iterator[tuple[Cell, FailedRun | None]]:
        """Carry out runs; yield each as it ends.

        Raises:
            RunError: Ray itself has ended.
        """
        if not cells:
            return
        tasks, waiting, tries = Tasks(self), deque(cells), Tries(on_progress)
        try:
            while waiting or tasks.running:
                while waiting and len(tasks.running) < (self.resources.workers or 1):
                    tasks.start(waiting.popleft())
                ended = tasks.wait()
                for cell, line in tasks.lines():
                    on_progress(cell, line)
                for cell, outcome in ended:
                    if not isinstance(outcome, Lost):
                        yield cell, receive(cell, outcome)
                    elif failure := tries.failure(cell, outcome):
                        yield cell, failure
                    else:
                        waiting.appendleft(cell)
        except BaseException:
            tasks.stop()
            raise


class Tasks:
    """The running tasks of Ray."""

    def __init__(self, engine: RayTasks) -> None:
        self._ray, self._resources, self._pulled = engine.ray, engine.resources, engine.pulled
        self._processes = engine.processes
        cpus, gpus = self._resources.cpus, self._resources.gpus or 0
        # Ray alone would try a run again without end if memory runs out.
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._task = self._ray.remote(**options)(run_remotely)
        self._mailbox = self._ray.remote(num_cpus=0)(Mailbox).remote()
        self._names: dict[str, Cell] = {}
        self.running: dict[Any, Cell] = {}

    def start(self, cell: Cell) -> None:
        """Hand a run to Ray."""
        if not self._pulled:
            cell.folder.parent.mkdir(parents=True, exist_ok=True)
        cpus, gpu = self._resources.cpus, bool(self._resources.gpus)
        run = remote_run(cell, cpus, gpu=gpu, pulled=self._pulled, processes=self._processes)
        name = str(cell.folder)
        self._names[name] = cell
        self.running[self._task.remote(run, self._mailbox, name)] = cell

    def wait(self) -> list[tuple[Cell, Outcome | Lost]]:
        """Wait a moment; return the runs that have ended."""
        ended, _ = self._ray.wait(list(self.running), timeout=_POLL)
        return [(self.running.pop(ref), self._outcome(ref)) for ref in ended]

    def lines(self) -> list[tuple[Cell, str]]:
        """Return the lines of progress that have arrived."""
        # Progress is no reason to stop.
        with suppress(self._ray.exceptions.RayError):
            found = self._ray.get(self._mailbox.take.remote(), timeout=_SLOW)
            return [(self._names[name], line) for name, line in found]
        return []

    def stop(self) -> None:
        """Interrupt all runs and wait for their checkpoints; a second interrupt kills them."""
        refs = list(self.running)
        try:
            for ref in refs:
                # In the worker this is SIGINT.
                self._ray.cancel(ref)
            if refs:
                self._ray.wait(refs, num_returns=len(refs))
        except KeyboardInterrupt:
            for ref in refs:
                self._ray.cancel(ref, force=True)
            raise

    def _outcome(self, ref: Any) -> Outcome | Lost:
        errors = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(ref)
        except errors.LocalRayletDiedError as error:
            raise RunError(
                "Ray has ended on this machine: run the same command again; it skips finished "
                "runs and resumes the others."
            ) from error
        except errors.RayTaskError as error:
            return Outcome(reason(error.cause), str(error))
        except errors.RayError as error:
            return Lost(f"it lost its worker ({type(error).__name__})")
        if outcome.signal_number:
            return Lost(f"its worker was stopped by {Signals(outcome.signal_number).name}")
        return outcome


def run_remotely(run: RemoteRun, mailbox: Any, name: str) -> Outcome:
    """Carry out a run in a worker of Ray."""

    def report(line: str) -> None:
        mailbox.put.remote(name, line)

    return carry_out(run, report)
