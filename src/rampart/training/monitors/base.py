"""The contract of a monitor: it looks at a run after every epoch, and may have something to say.

A monitor changes nothing of the run but its own memory, which the checkpoint keeps.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from torch import nn

Row = Mapping[str, Any]
#: What a monitor remembers from one epoch to the next, as plain values that JSON can hold.
Memory = dict[str, Any]


@dataclass(frozen=True)
class Alert:
    """Something that a user should know at once.

    Attributes:
        code: what it is, the same in every run: "catastrophic-overfitting".
        message: what was seen and what to change.
    """

    code: str
    message: str


@dataclass(frozen=True)
class Observation:
    """What a monitor saw at the end of an epoch.

    Attributes:
        figures: further entries of the history row.
        alerts: what is to be said now; a state that lasts is named when it begins.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()


class Monitor(ABC):
    """Watches for one thing.

    Attributes:
        name: under which its memory is kept.
    """

    name: ClassVar[str]

    @abstractmethod
    def query(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Look at a run whose epoch has ended.

        Args:
            model: pixels in [0, 1] to logits; left as found.
            row: the epoch's history row.
            memory: what this monitor noted at its last looks; empty at first, changed in place.
        """


def run_monitors(
    monitors: Iterable[Monitor], model: nn.Module, row: Row, memories: dict[str, Memory]
) -> dict[str, Any]:
    """Return what the monitors add to a history row: figures, and `warnings` where there are any.

    Args:
        monitors: who looks.
        model: pixels in [0, 1] to logits.
        row: the epoch's history row.
        memories: each monitor's memory by its name; changed in place.
    """
    added: dict[str, Any] = {}
    alerts: list[Alert] = []
    for monitor in monitors:
        observation = monitor.query(model, row, memories.setdefault(monitor.name, {}))
        added |= observation.figures
        alerts += observation.alerts
    return {**added, "alerts": [asdict(alert) for alert in alerts]} if alerts else added


def begins(memory: Memory, holds: bool) -> bool:
    """Whether something holds now that did not hold at the last look; notes whether it holds."""
    before, memory["holds"] = memory.get("holds", False), holds
    return holds and not before


def in_a_row(memory: Memory, holds: bool) -> int:
    """For how many looks in a row something has held now; notes the count."""
    memory["in a row"] = memory.get("in a row", 0) + 1 if holds else 0
    return int(memory["in a row"])


def percent(fraction: float) -> str:
    """Return a share as it is read: 0.043 as "4.3 %"."""
    return f"{100 * fraction:.1f} %"
