"""The contract of an engine."""

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from rampart.experiments.cells import Cell, FailedRun

#: Takes a run and a line of its progress.
OnProgress = Callable[[Cell, str], None]


class Engine(Protocol):
    """Carries out runs; it decides where, when and how many at a time, and changes no result."""

    def carry_out(
        self, cells: Sequence[Cell], on_progress: OnProgress
    ) -> Iterator[tuple[Cell, FailedRun | None]]:
        """Carry out runs by `cells.attempt`; yield each as it ends, with its failure or None.

        Every run is yielded once, except those that are left to go on after the command. A run that
        an earlier call began is resumed from its folder.

        Raises:
            KeyboardInterrupt: a signal; every run has saved a checkpoint. The argument is the
                number of the signal.
        """


def number_of(error: BaseException) -> int:
    """Return the number of the signal behind an interrupt; SIGINT by default."""
    known = isinstance(error, KeyboardInterrupt) and error.args
    return int(error.args[0] if known else signal.SIGINT)
