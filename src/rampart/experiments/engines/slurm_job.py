"""What a job of SLURM does: it carries out one run, and is requeued when its time is up."""

import signal
from dataclasses import dataclass
from typing import Any

from rampart.experiments.engines.outcome import Outcome
from rampart.experiments.engines.remote import RemoteRun, carry_out


@dataclass(frozen=True)
class SlurmJob:
    """A run as a job.

    Before the time of a job is up, or before it is preempted, SLURM sends SIGUSR2. The run then
    saves a checkpoint and stops, and submitit requeues the job, which resumes the run. SIGTERM, as
    of `scancel`, ends the job after the checkpoint.

    Attributes:
        run: the run.
    """

    run: RemoteRun

    def __call__(self) -> Outcome:
        """Carry out the run; called by submitit."""
        requeue: Any = signal.getsignal(signal.SIGUSR2)
        warned = []

        def warn(number: int, frame: object) -> None:
            warned.append(number)
            signal.raise_signal(signal.SIGTERM)

        signal.signal(signal.SIGUSR2, warn)
        signal.signal(signal.SIGTERM, _stop)
        outcome = carry_out(self.run, print_line)
        if warned and outcome.signal_number and callable(requeue):
            # Ends the process, or raises if the job was requeued too often.
            requeue(signal.SIGUSR2, None)
        return outcome

    def checkpoint(self) -> Any:
        """Return the job that is put into the queue again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def print_line(line: str) -> None:
    """Print a line of progress into the log of the job."""
    print(line, flush=True)


def _stop(number: int, frame: object) -> None:
    # While it trains, a run handles the signal itself and saves a checkpoint first.
    raise KeyboardInterrupt(number)
