"""Runs in processes of their own, several at a time; a process that dies takes one run with it."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from rampart.experiments.cells import Cell, FailedRun, attempt, failed
from rampart.plugins import IMPORTED, import_parts

#: Called with a run and a line of its progress.
Tell = Callable[[Cell, str], None]


class Worker:
    """A process that carries out one run after another."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, threads, tuple(IMPORTED)))
        self._process.start()
        # The connection then ends with the process.
        theirs.close()

    def give(self, cell: Cell) -> None:
        """Let it carry out a run."""
        self.cell = cell
        # A process that has died already is noticed where its answer is read.
        with suppress(BrokenPipeError):
            self.connection.send(cell)

    def died(self) -> FailedRun:
        """Return the failure of the run with which the process ended."""
        self._process.join()
        code = self._process.exitcode or 0
        ended = f"status {code}" if code >= 0 else signal.Signals(-code).name
        memory = ", perhaps for want of memory: try fewer --workers" if code == -9 else ""
        return failed(self.cell, f"its process ended with {ended}{memory}")

    def interrupt(self, number: int) -> None:
        """Let its run save a checkpoint and stop."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def join(self) -> None:
        """Wait for its end."""
        self._process.join()

    def close(self) -> None:
        """End it; where it is in a run, its next line of progress ends that."""
        self.connection.close()
        self._process.join()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


def attempt_all(
    cells: Iterable[Cell], workers: int, tell: Tell
) -> Iterator[tuple[Cell, FailedRun | None]]:
    """Carry out runs, so many at a time; yield each as it ends, with why it failed if it did.

    Raises:
        KeyboardInterrupt: a signal; every run has saved a checkpoint.
    """
    waiting = deque(cells)
    threads = max(1, (os.cpu_count() or 1) // workers)
    idle: list[Worker] = []
    busy: list[Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker = idle.pop() if idle else Worker(threads)
                busy.append(worker)
                worker.give(waiting.popleft())
            for worker in _ready(busy):
                answer = _answer(worker)
                if isinstance(answer, str):
                    tell(worker.cell, answer)
                    continue
                busy.remove(worker)
                if answer is None:
                    idle.append(worker)
                else:
                    # What went wrong may have left the process, or its GPU, in a bad state.
                    worker.close()
                yield worker.cell, answer
    except BaseException as error:
        _stop(busy, number_of(error))
        raise
    finally:
        for worker in (*idle, *busy):
            worker.close()


def _ready(busy: Sequence[Worker]) -> list[Worker]:
    """Wait until some of the workers have something to say."""
    ready = wait([worker.connection for worker in busy])
    return [worker for worker in busy if worker.connection in ready]


def _answer(worker: Worker) -> str | FailedRun | None:
    """A line of progress; or, at the end of a run, its failure or None."""
    try:
        answer: str | FailedRun | int | None = worker.connection.recv()
    except (EOFError, ConnectionResetError):
        return worker.died()
    if isinstance(answer, int):
        raise KeyboardInterrupt(answer)
    return answer


def _stop(busy: Sequence[Worker], number: int) -> None:
    """Stop all runs and wait for their checkpoints; a second interrupt waits no longer."""
    try:
        for worker in busy:
            worker.interrupt(number)
        # Read from or not, the connections stay open: a run that cannot tell its progress fails.
        for worker in busy:
            worker.join()
    except KeyboardInterrupt:
        for worker in busy:
            worker.kill()
        raise


def _serve(connection: Connection, threads: int, imports: Iterable[str]) -> None:
    """What a worker's process does: know the user's parts, and carry out runs until the end."""
    import torch

    # Processes that all use every core slow one another down.
    torch.set_num_threads(threads)
    # A terminal sends its Ctrl-C to the group of the study, which passes it on once.
    os.setpgrp()
    for place in imports:
        import_parts(place)
    with suppress(EOFError):
        while True:
            try:
                connection.send(attempt(connection.recv(), connection.send))
            except KeyboardInterrupt as interrupt:
                connection.send(number_of(interrupt))
                return


def number_of(error: BaseException) -> int:
    """Return the number of the signal that an interrupt stands for; SIGINT by default."""
    known = isinstance(error, KeyboardInterrupt) and error.args
    return int(error.args[0] if known else signal.SIGINT)
