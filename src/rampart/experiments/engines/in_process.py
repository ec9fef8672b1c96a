"""One run after another in this process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rampart.experiments.cells import CarryOut, Cell, FailedRun, attempt, train_and_evaluate
from rampart.experiments.engines.base import OnProgress


@dataclass(frozen=True)
class InProcess:
    """Carries out one run after another, in this process.

    Attributes:
        run: trains and evaluates one.
    """

    run: CarryOut = train_and_evaluate

    def carry_out(
        self, cells: Sequence[Cell], on_progress: OnProgress
    ) -> Iterator[tuple[Cell, FailedRun | None]]:
        """Carry out runs; yield each as it ends."""
        for cell in cells:
            yield cell, attempt(cell, partial(on_progress, cell), self.run)
