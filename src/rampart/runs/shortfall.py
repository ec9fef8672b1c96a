"""What a run lacks whose figures are read: its end, or a part of its history."""

from dataclasses import dataclass

from rampart.counting import counted
from rampart.runs.afterwards import INTERPOLATION, REFINEMENT
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Shortfall:
    """What a run lacks, in words; "" for nothing.

    Attributes:
        unfinished: status and progress of a run that is not complete, such as "failed, 3 of 50
            epochs".
        history: what is left of the history of a complete run, such as "history missing".
    """

    unfinished: str = ""
    history: str = ""

    def __str__(self) -> str:
        return self.unfinished or self.history


def shortfall_of(folder: RunFolder) -> Shortfall:
    """Return what a run lacks.

    Raises:
        RunError: the configuration, the status or the history is damaged.
    """
    planned, found = _planned_epochs(folder), _epochs(folder)
    of = f"{found} of {planned} epochs" if planned else counted(found, "epoch")
    if folder.status() != "complete":
        return Shortfall(unfinished=f"{folder.status()}, {of}")
    # An interpolation of two runs is not trained.
    if INTERPOLATION in folder.facts() or found >= planned:
        return Shortfall()
    return Shortfall(history=f"history of {of}" if found else "history missing")


def _planned_epochs(folder: RunFolder) -> int:
    """Return the number of epochs that the run should have; 0 if it is not stated."""
    refined = folder.facts().get(REFINEMENT)
    training = refined["settings"] if refined else folder.settings().get("training")
    epochs = training.get("epochs") if isinstance(training, dict) else None
    return epochs if isinstance(epochs, int) else 0


def _epochs(folder: RunFolder) -> int:
    """Return the number of epochs that the history has, each counted once."""
    return len({row.get("epoch") for row in History(folder.history).rows()})
