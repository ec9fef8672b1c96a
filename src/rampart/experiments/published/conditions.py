"""The results of a study by condition: backbone, dataset, strength and method, over its seeds."""

from dataclasses import dataclass
from pathlib import Path

from rampart.experiments.run_figures import RunFigures
from rampart.experiments.tuning.outcome import Spent
from rampart.metrics.expectation import published_robustness
from rampart.records.storage import load_record

#: Length of the publication's runs; T1 and T2 are epochs of it.
EPOCHS = 50
#: The attack behind the figures of all its tables but one.
PUBLISHED_ATTACK = "apgd_ce_10"


@dataclass(frozen=True)
class Condition:
    """What the runs have in common that differ in their seeds only.

    Attributes:
        backbone, dataset: short names, or those of the study.
        eps: target strength, a fraction of the pixel range.
        method: name of the method.
        schedule: the schedule of the publication that the method follows; "" if it follows none.
            All schedules with a linear ramp are "two-hinge".
        start, end: T1 and T2, scaled to a run of `EPOCHS` epochs; 0 and 0 for "fix", and None for
            schedules without them.
        attack: of the evaluation, such as "apgd_ce_10" or "autoattack".
        changes: settings in which the runs differ from the published recipe, as text.
    """

    backbone: str
    dataset: str
    eps: float
    method: str
    schedule: str = ""
    start: float | None = None
    end: float | None = None
    attack: str = PUBLISHED_ATTACK
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FinishedRun:
    """One finished run.

    Attributes:
        figures: its figures; expected robustness by the publication's rule.
        folder: its folder, for the history; None if it is not at hand.
        record: the folder of its evaluation, for the curve; None if it is not at hand.
    """

    figures: RunFigures
    folder: Path | None = None
    record: Path | None = None


@dataclass(frozen=True)
class Results:
    """The finished runs of one condition.

    Attributes:
        condition: the condition.
        runs: its finished runs.
        planned: number of its runs when the study is complete.
        searches: budgets of the searches whose values its runs have, each once.
    """

    condition: Condition
    runs: tuple[FinishedRun, ...] = ()
    planned: int = 0
    searches: tuple[Spent, ...] = ()

    @property
    def missing(self) -> int:
        """Number of runs that are not finished."""
        return max(0, self.planned - len(self.runs))

    def values(self, measure: str) -> list[float]:
        """Return a figure of all finished runs, such as "clean"."""
        return [getattr(run.figures, measure) for run in self.runs]

    def by_seed(self, measure: str) -> dict[int, float]:
        """Return a figure of all finished runs by their seeds."""
        return {run.figures.seed: getattr(run.figures, measure) for run in self.runs}


def read_run(figures: RunFigures, folder: Path, record: Path) -> FinishedRun:
    """Return a finished run with expected robustness by the publication's rule.

    Where the grid lacks a gray level the rule does not apply, and Rampart's own remains.
    """
    found = load_record(record)
    published = published_robustness(found.critical, found.grid) if found.norm == "linf" else None
    if published is not None:
        figures = figures._replace(expected=published)
    return FinishedRun(figures, folder, record)
