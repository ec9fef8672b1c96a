"""A run whose process was lost is tried once more, and then reported."""

from dataclasses import dataclass
from pathlib import Path

from rampart.experiments.cells import Cell, FailedRun, save_failure
from rampart.experiments.engines.base import OnProgress


@dataclass(frozen=True)
class Lost:
    """The end of a process that brought no result.

    Attributes:
        why: what happened, such as "its process ended with SIGKILL".
    """

    why: str


class Tries:
    """The runs that have lost a process."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._lost: set[Path] = set()

    def failure(self, cell: Cell, lost: Lost) -> FailedRun | None:
        """Return the failure of a run that lost its process; None if it has a second try."""
        if cell.folder in self._lost:
            return save_failure(cell, f"in both tries {lost.why}")
        self._lost.add(cell.folder)
        self._on_progress(cell, f"{lost.why}; it is tried again")
        return None
