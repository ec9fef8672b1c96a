"""The passes of a run by their purpose, from its history and its run.json.

A pass is one image forward through a model of the run's size, or one image backward. Images count,
and rows that only fill a batch do not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from rampart.counting import in_thousands
from rampart.runs.afterwards import REFINEMENT
from rampart.runs.history import Row


@dataclass(frozen=True)
class Passes:
    """Passes of a run by their purpose.

    Attributes:
        training: of the steps, with those of the attack.
        validation: of the validation after every epoch.
        monitors: of the monitors, with the clean baseline that one of them may train.
        pilot: of the pilot: its clean baseline, and all passes of the epochs that a failed pilot
            drops. The epochs of a passed pilot are a part of the run.
        linear_probe: of `training.linear_probe`.
        refinement: of a refined run: the criticality of its layers, and the models between.
        guidance: of the guidance for noisy labels, through the backbone that guides.
        label_check: of the check of labels; it has none of its own if the guidance is the same.
    """

    training: int = 0
    validation: int = 0
    monitors: int = 0
    pilot: int = 0
    linear_probe: int = 0
    refinement: int = 0
    guidance: int = 0
    label_check: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row], facts: Mapping[str, Any] | None = None) -> Self:
        """Return the passes of a run.

        Args:
            rows: its history. Rows of an earlier version lack the passes of validation and
                monitors, which then count as 0.
            facts: its run.json.
        """
        facts, rows = facts or {}, list(rows)
        probe = facts.get("linear_probe", {})
        return cls(
            training=sum(row["forwards"] + row["backwards"] for row in rows),
            validation=sum(row.get("validation_passes", 0) for row in rows),
            monitors=sum(row.get("monitor_passes", 0) for row in rows),
            pilot=facts.get("pilot", {}).get("passes", 0),
            linear_probe=probe.get("forwards", 0) + probe.get("backwards", 0),
            refinement=facts.get(REFINEMENT, {}).get("passes", 0),
            guidance=facts.get("guidance", {}).get("forwards", 0),
            label_check=facts.get("label_check", {}).get("forwards", 0),
        )

    @property
    def total(self) -> int:
        """All passes."""
        return sum(asdict(self).values())

    def facts(self) -> dict[str, int]:
        """Return the passes of every purpose, and `total`."""
        return {**asdict(self), "total": self.total}

    def __str__(self) -> str:
        """Return all passes, and each purpose that took some.

        Example:
            >>> print(Passes(training=41_200, validation=940))
            42 k passes: training 41 k, validation 940
        """
        return spell_passes(self.facts())


def spell_passes(facts: Mapping[str, int]) -> str:
    """Return `Passes.facts()` as text."""
    parts = {name: value for name, value in facts.items() if value and name != "total"}
    spelled = (f"{name.replace('_', ' ')} {in_thousands(n)}" for name, n in parts.items())
    listed = f": {', '.join(spelled)}" if parts else ""
    return f"{in_thousands(facts['total'])} passes{listed}"
