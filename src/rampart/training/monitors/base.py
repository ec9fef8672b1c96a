"""The contract of a monitor: it observes a run after every epoch and may raise an alert.

A monitor changes only its own memory, which is part of the checkpoint.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from torch import nn

Row = Mapping[str, Any]
#: The memory of a monitor between epochs, in plain values that JSON can hold.
Memory = dict[str, Any]


@dataclass(frozen=True)
class Alert:
    """A message that the user should see at once.

    Attributes:
        code: the kind of alert, such as "catastrophic-overfitting"; the same in every run.
        message: what was measured and what to change.
    """

    code: str
    message: str


@dataclass(frozen=True)
class Observation:
    """What a monitor saw at the end of an epoch.

    Attributes:
        figures: further entries of the history row.
        alerts: new alerts; a lasting state raises one when it begins.
        passes: forwards and backwards that the monitor took.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    passes: int = 0


class Monitor(ABC):
    """Watches for one kind of failure.

    Attributes:
        name: key of its memory.
    """

    name: ClassVar[str]

    @abstractmethod
    def observe(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Observe a run at the end of an epoch.

        Args:
            model: pixels in [0, 1] to logits; must be unchanged afterwards.
            row: the history row of the epoch.
            memory: notes of this monitor, changed in place; empty at first.
        """


def run_monitors(
    monitors: Iterable[Monitor], model: nn.Module, row: Row, memories: dict[str, Memory]
) -> dict[str, Any]:
    """Return what the monitors add to a history row.

    That is their figures, and if there are any, the passes of all of them as `monitor_passes`, and
    `alerts`.

    Args:
        monitors: those of the run.
        model: pixels in [0, 1] to logits.
        row: the history row of the epoch.
        memories: memory of each monitor by its name; changed in place.
    """
    added: dict[str, Any] = {}
    alerts: list[Alert] = []
    passes = 0
    for monitor in monitors:
        observation = monitor.observe(model, row, memories.setdefault(monitor.name, {}))
        added |= observation.figures
        alerts += observation.alerts
        passes += observation.passes
    if passes:
        added["monitor_passes"] = passes
    return {**added, "alerts": [asdict(alert) for alert in alerts]} if alerts else added


def begins(memory: Memory, holds: bool) -> bool:
    """Whether a condition holds now and did not after the last epoch; updates the memory."""
    before, memory["holds"] = memory.get("holds", False), holds
    return holds and not before


def in_a_row(memory: Memory, holds: bool) -> int:
    """Return for how many epochs in a row a condition has held; updates the memory."""
    memory["in a row"] = memory.get("in a row", 0) + 1 if holds else 0
    return int(memory["in a row"])


def earn(memory: Memory, share: float, row: Row) -> None:
    """Save a share of the training passes of an epoch for the passes of a monitor."""
    earned = share * (row["forwards"] + row["backwards"])
    memory["saved"] = memory.get("saved", 0.0) + earned


def affords(memory: Memory, passes: float) -> int:
    """Return how often the saved passes suffice for so many."""
    return int(memory["saved"] // passes)


def spend(memory: Memory, passes: int) -> None:
    """Take passes from the saved ones."""
    memory["saved"] -= passes


def percent(fraction: float) -> str:
    """Return a fraction in percent: "4.3 %" for 0.043."""
    return f"{100 * fraction:.1f} %"
