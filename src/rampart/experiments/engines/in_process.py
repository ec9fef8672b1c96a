"""One run after another in this process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rampart.experiments.cells import Cell, FailedRun, attempt
from rampart.experiments.engines.base import OnProgress


@dataclass(frozen=True)
class InProcess:
    """Carries out one run after another, in this process."""

    def carry_out(
        self, cells: Sequence[Cell], on_progress: OnProgress
    ) -> Iterator[tuple[Cell, FailedRun | None]]:
        """Carry out runs; yield each as it ends."""
        for cell in cells:
            yield cell, attempt(cell, partial(on_progress, cell))
