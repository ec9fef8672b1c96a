"""Runs in processes of their own, several at a time.

If a process dies, its run is tried once more. If the study is killed, its processes save
checkpoints and stop.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from rampart.experiments.cells import Cell, FailedRun, attempt
from rampart.experiments.engines.base import OnProgress, number_of
from rampart.experiments.engines.launcher import carrier
from rampart.experiments.engines.tries import Lost, Tries
from rampart.plugins import IMPORTED, import_parts


@dataclass(frozen=True)
class Processes:
    """Carries out runs in processes of their own.

    Attributes:
        workers: number of runs at the same time.
        processes: number of processes of accelerate that carry out each run.
        gpu: whether the runs may use GPUs.
        threads: CPU threads of each run; None for an equal share of those of this machine.
    """

    workers: int
    processes: int = 1
    gpu: bool = True
    threads: int | None = None

    def carry_out(
        self, cells: Sequence[Cell], on_progress: OnProgress
    ) -> Iterator[tuple[Cell, FailedRun | None]]:
        """Carry out runs; yield each as it ends."""
        waiting, tries = deque(cells), Tries(on_progress)
        threads = self.threads or max(1, (os.cpu_count() or 1) // self.workers)
        idle: list[Worker] = []
        busy: list[Worker] = []
        try:
            while waiting or busy:
                while waiting and len(busy) < self.workers:
                    worker = idle.pop() if idle else Worker(threads, self.processes, self.gpu)
                    busy.append(worker)
                    worker.start(waiting.popleft())
                for worker in _ready(busy):
                    answer = _answer(worker)
                    if isinstance(answer, str):
                        on_progress(worker.cell, answer)
                        continue
                    busy.remove(worker)
                    if answer is None:
                        idle.append(worker)
                    else:
                        # The failure may have left the process, or its GPU, in a bad state.
                        worker.close()
                    if isinstance(answer, Lost):
                        answer = tries.failure(worker.cell, answer)
                        if answer is None:
                            waiting.appendleft(worker.cell)
                            continue
                    yield worker.cell, answer
        except BaseException as error:
            _stop(busy, number_of(error))
            raise
        finally:
            for worker in (*idle, *busy):
                worker.close()


class Worker:
    """A process that carries out one run after another."""

    def __init__(self, threads: int, processes: int = 1, gpu: bool = True) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, threads, tuple(IMPORTED), processes, gpu)
        self._process = context.Process(target=_serve, args=arguments)
        self._process.start()
        # With this copy closed, the connection ends with the process.
        theirs.close()

    def start(self, cell: Cell) -> None:
        """Start a run in the process."""
        self.cell = cell
        # If the process has already died, reading its answer reports that.
        with suppress(BrokenPipeError):
            self.connection.send(cell)

    def explain_death(self) -> Lost:
        """Return how the process died."""
        self._process.join()
        code = self._process.exitcode or 0
        ended = f"status {code}" if code >= 0 else signal.Signals(-code).name
        memory = ", perhaps because memory ran out: try fewer --workers" if code == -9 else ""
        return Lost(f"its process ended with {ended}{memory}")

    def interrupt(self, number: int) -> None:
        """Send a signal, upon which the run saves a checkpoint and stops."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def join(self) -> None:
        """Wait until the process ends."""
        self._process.join()

    def close(self) -> None:
        """Wait for the end of the process, which has no run in progress."""
        self.connection.close()
        self._process.join()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()


def _ready(busy: Sequence[Worker]) -> list[Worker]:
    """Wait until some of the workers have sent a message or died."""
    ready = wait([worker.connection for worker in busy])
    return [worker for worker in busy if worker.connection in ready]


def _answer(worker: Worker) -> str | FailedRun | Lost | None:
    """Return a line of progress; or, at the end of a run, its failure, the loss, or None."""
    try:
        answer: str | FailedRun | int | None = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        return worker.explain_death()
    if isinstance(answer, int):
        raise KeyboardInterrupt(answer)
    return answer


def _stop(busy: Sequence[Worker], number: int) -> None:
    """Stop all runs and wait for their checkpoints; a second interrupt kills them."""
    try:
        for worker in busy:
            worker.interrupt(number)
        # The connections stay open until then: a run that cannot send its progress fails.
        for worker in busy:
            worker.join()
    except KeyboardInterrupt:
        for worker in busy:
            worker.kill()
        raise


def _serve(
    connection: Connection, threads: int, imports: Iterable[str], processes: int, gpu: bool
) -> None:
    """Import the user's parts, and carry out runs until the connection ends."""
    import torch

    # Processes that all use every core slow one another down.
    torch.set_num_threads(threads)
    if not gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # A terminal sends Ctrl-C to the process group of the study, which forwards it once.
    os.setpgrp()
    threading.Thread(target=_end_with_study, daemon=True).start()
    for place in imports:
        import_parts(place)

    def report(line: str) -> None:
        # Without the study, the signal ends the run, after a checkpoint.
        with suppress(OSError):
            connection.send(line)

    run = carrier(processes, threads, gpu=gpu)
    # The connection ends with the study.
    with suppress(EOFError, OSError):
        while True:
            try:
                connection.send(attempt(connection.recv(), report, run))
            except KeyboardInterrupt as interrupt:
                connection.send(number_of(interrupt))
                return


def _end_with_study() -> None:
    """Stop this process as SIGTERM does when the process of the study has ended."""
    study = multiprocessing.parent_process()
    assert study is not None, "the study started this process"
    study.join()
    os.kill(os.getpid(), signal.SIGTERM)
