"""One run carried out by several processes of accelerate on this machine.

`accelerate launch` starts the processes (`rampart.experiments.engines.launched`) and forms their
group. This module only speaks to them: they get the run as a file and signals through the standard
input, whose end tells them that the study is gone. Lines of progress come back through the standard
output. What else they print goes to a log, the end of which is kept with a failure.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rampart.errors import RunError
from rampart.experiments.cells import CarryOut, Cell, ReportLine, train_and_evaluate
from rampart.experiments.engines.outcome import Outcome
from rampart.files import remove, remove_left, replacing, scratch_beside
from rampart.plugins import IMPORTED
from rampart.stop_signals import STOPS, WARNINGS
from rampart.training.interrupts import Interrupts

#: Files in the folder of a launch.
RUN, LOG, OUTCOME = "run.pickle", "log.txt", "outcome-*"
#: Seconds between two looks at signals.
_POLL = 0.5
#: Once one process has stopped after a signal, the others have so many seconds to do the same.
_GRACE = 60.0
#: Characters of the log that are kept with a failure.
_KEPT = 8000
#: Signals that only this process answers; it passes them on.
_OWN = {*STOPS, *WARNINGS}


class LostProcessError(RunError):
    """A process died before the run ended."""


@dataclass(frozen=True)
class Launched:
    """A run as the processes read it.

    Attributes:
        pickled: the run.
        imports: the user's code that registers parts.
        threads: CPU threads of each process.
    """

    pickled: bytes
    imports: tuple[str, ...]
    threads: int


@dataclass(frozen=True)
class Launcher:
    """Carries out a run in several processes.

    Attributes:
        processes: number of processes; each has its own GPU, or they share the CPUs.
        threads: CPU threads of the run, over all processes; None for those of this process.
        gpu: whether the run may use GPUs.
    """

    processes: int
    threads: int | None = None
    gpu: bool = True

    def __call__(self, cell: Cell, report: ReportLine) -> None:
        """Carry out a run; if one of its processes dies, once more, from the last checkpoint.

        Raises:
            RunError: the run failed, or a process died twice; its notes hold the traceback.
            KeyboardInterrupt: a signal; the run has saved a checkpoint.
        """
        try:
            self._launch(cell, report)
        except LostProcessError as lost:
            report(f"{lost}; it is tried again")
            self._launch(cell, report, last=True)

    def command(self, folder: Path) -> list[str]:
        """Return the command that starts the processes; `folder` holds the run."""
        options = {
            "gpu_ids": "all",
            "num_machines": 1,
            "num_processes": self.processes,
            "num_cpu_threads_per_process": self._threads,
            # Of these, the configuration of the run decides.
            "mixed_precision": "no",
            "dynamo_backend": "no",
            # A free port, because several runs may share this machine.
            "main_process_port": 0,
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        # Despite its name this option also starts processes without GPUs; --cpu starts only one.
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", *given]
        return [*launch, "-m", "rampart.experiments.engines.launched", str(folder)]

    @property
    def _threads(self) -> int:
        import torch

        return max(1, (self.threads or torch.get_num_threads()) // self.processes)

    def _launch(self, cell: Cell, report: ReportLine, *, last: bool = False) -> None:
        with _folder_beside(cell.folder) as folder:
            run = Launched(pickle.dumps(cell), tuple(IMPORTED), self._threads)
            (folder / RUN).write_bytes(pickle.dumps(run))
            with (folder / LOG).open("wb") as log:
                process = _start(self.command(folder), log, self.gpu)
            stopped = _follow(process, self.processes, folder, report)
            _judge(folder, self.processes, stopped, process.returncode, last=last)


@contextmanager
def _folder_beside(run: Path) -> Iterator[Path]:
    """Yield a new folder beside that of a run; the next launch removes it if this one is killed."""
    remove_left(run.parent)
    folder = scratch_beside(run)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(folder)


def carrier(processes: int, threads: int | None = None, *, gpu: bool = True) -> CarryOut:
    """Return what carries out a run: this process, or several others."""
    return train_and_evaluate if processes == 1 else Launcher(processes, threads, gpu)


def _start(command: list[str], log: IO[bytes], gpu: bool) -> subprocess.Popen[str]:
    """Start accelerate, deaf to the signals that a terminal or SLURM sends to all processes."""
    # Without the current folder on the path, as for the command `rampart`.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    environment |= {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    # Blocked signals stay blocked in children, and reach this process afterwards.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OWN)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(process: "subprocess.Popen[str]", count: int, folder: Path, report: ReportLine) -> int:
    """Report lines and pass on a signal until all processes have ended; return the signal or 0."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    until: float | None = None
    try:
        with Interrupts() as interrupts:
            while (line := _next(lines)) is not None:
                if line:
                    report(line)
                if interrupts.received or process.poll() is not None:
                    _end_input(process, interrupts.received, count)
                if interrupts.received and until is None and any(folder.glob(OUTCOME)):
                    until = time.monotonic() + _GRACE
                if until is not None and time.monotonic() > until:
                    _kill(process)
        process.wait()
        return interrupts.received
    except BaseException:
        # A second signal, or a study that cannot go on.
        _kill(process)
        raise
    finally:
        _end_input(process, 0, count)


def _pump(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str | None]") -> None:
    """Put the lines of the processes into the queue; None when the last process has ended."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def _next(lines: "queue.SimpleQueue[str | None]") -> str | None:
    """Return the next line, "" after a moment without one, and None at the end."""
    try:
        return lines.get(timeout=_POLL)
    except queue.Empty:
        return ""


def _end_input(process: "subprocess.Popen[str]", number: int, count: int) -> None:
    """End the standard input of the processes, with a signal for each of them."""
    assert process.stdin is not None
    if process.stdin.closed:
        return
    with suppress(OSError):
        process.stdin.write(chr(number) * count if number else "")
        process.stdin.flush()
    with suppress(OSError):
        process.stdin.close()


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kill accelerate and its processes."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()


def _judge(folder: Path, count: int, stopped: int, status: int, *, last: bool) -> None:
    """Return if the run has succeeded; raise what stopped it otherwise."""
    outcomes = read_outcomes(folder)
    if stopped:
        raise KeyboardInterrupt(stopped)
    failed = [one for one in outcomes if one.reason]
    if len(outcomes) < count or (status and not failed):
        raise _loss(folder, count, failed, last=last)
    if failed:
        # The others fail because the first one is gone.
        error = RunError(failed[0].reason)
        error.add_note(failed[0].detail)
        raise error
    if number := max(one.signal_number for one in outcomes):
        raise KeyboardInterrupt(number)


def _loss(folder: Path, count: int, failed: list[Outcome], *, last: bool) -> LostProcessError:
    """Return the error for processes that ended without a trace; its notes hold the log."""
    tries = "in both tries " if last else ""
    others = f"; another one failed: {failed[0].reason}" if failed else ""
    error = LostProcessError(
        f"{tries}one of its {count} processes died, perhaps because memory ran out{others}"
    )
    log = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    error.add_note("\n".join([*(one.detail for one in failed[:1]), log[-_KEPT:]]))
    return error


def read_outcomes(folder: Path) -> list[Outcome]:
    """Return how the processes ended, the first one first; a process that was killed has none."""
    files = sorted(folder.glob(OUTCOME), key=lambda file: file.stat().st_mtime_ns)
    return [pickle.loads(file.read_bytes()) for file in files]


def write_outcome(folder: Path, rank: int, outcome: Outcome) -> None:
    """Write how a process ended, as a whole or not at all."""
    file = folder / OUTCOME.replace("*", str(rank))
    with replacing(file) as scratch:
        scratch.write_bytes(pickle.dumps(outcome))
