"""The evaluations of a run, as its card shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart.records.record import EvaluationRecord
from rampart.reports.evaluations import own_evaluation
from rampart.reports.measures import report as measure_all
from rampart.reports.named_records import find_records
from rampart.reports.page.curves import spell_strength
from rampart.reports.percent import number, percent
from rampart.runs.run_folder import RunFolder
from rampart.units import is_corruption

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation of a run.

    Attributes:
        folder: of the evaluation.
        record: read from it.
        facts: the figures that `rampart report` shows.
    """

    folder: Path
    record: EvaluationRecord
    facts: Facts

    @property
    def attack(self) -> str:
        """The attack or the corruption, and its largest strength."""
        norm, at = self.facts["norm"], spell_strength(self.facts["eps"], self.facts["norm"])
        by = "" if is_corruption(norm) else f"{self.facts['attack']}, "
        return f"{by}{norm}, {at}"

    def figures(self) -> list[dict[str, str]]:
        """Return name, value and interval of clean, adversarial and expected accuracy."""
        norm, at = self.facts["norm"], spell_strength(self.facts["eps"], self.facts["norm"])
        over = "severities" if is_corruption(norm) else "strengths"
        names = {
            "clean": "clean accuracy",
            "adversarial": f"accuracy under attack ({self.attack})",
            "expected": f"expected robustness: the mean over all {over} from 0 to {at}",
        }
        return [{"name": text, **self.figure(name)} for name, text in names.items()]

    def figure(self, name: str) -> dict[str, str]:
        """Return value and interval of a figure in percent."""
        low, high = self.facts[f"{name}_low"], self.facts[f"{name}_high"]
        interval = f"{number(low)} to {number(high)}"
        return {"value": percent(self.facts[name]), "interval": interval}


def evaluations_of(run: RunFolder) -> list[Evaluated]:
    """Return the finished evaluations of a run, that of its own configuration first.

    Raises:
        RunError: a record is damaged.
    """
    own = own_evaluation(run.path)
    folders = [one.path for one in run.finished_evaluations()]
    return [_read(one) for one in sorted(folders, key=lambda one: (one != own, one.name))]


def _read(folder: Path) -> Evaluated:
    measured = find_records([folder])
    return Evaluated(folder, measured[0].record, measure_all(measured)["records"][0])
