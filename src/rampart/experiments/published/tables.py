"""The publication's tables with the figures of a study beside the published ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rampart.experiments.published.conditions import Condition, Results
from rampart.experiments.published.counterparts import (
    condition_of_row,
    counterparts,
    is_counterpart,
)
from rampart.experiments.study_table import MEASURES
from rampart.published import PublishedResult, published_results
from rampart.units import format_eps

#: Content of the published tables that list single conditions.
TITLES = {
    1: "fixed strength and two-hinge at 4/255",
    2: "fixed strength and two-hinge at 8/255",
    3: "robust backbones",
    4: "the automatic schedule",
    6: "AutoAttack",
    7: "T1 and T2 of the two-hinge schedule",
    8: "the uniform schedule",
    12: "Imagenette",
}
LABELS = ("backbone", "dataset", "eps", "method")
NOT_PLANNED = "not in the study"


@dataclass(frozen=True)
class Compared:
    """One figure of a study beside the published one.

    Attributes:
        ours: fractions, one per seed; empty without a finished run.
        published: the published fraction; None if there is none.
    """

    ours: tuple[float, ...] = ()
    published: float | None = None

    @property
    def mean(self) -> float | None:
        """Mean over the seeds."""
        return fmean(self.ours) if self.ours else None

    @property
    def difference(self) -> float | None:
        """The mean minus the published figure."""
        if self.mean is None or self.published is None:
            return None
        return self.mean - self.published


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        labels: what the line is about, a text per label column.
        figures: by measure: clean, adversarial and expected.
        missing: number of missing runs, or why there is none.
    """

    labels: tuple[str, ...]
    figures: Mapping[str, Compared]
    missing: str = ""


@dataclass(frozen=True)
class ComparedTable:
    """One table.

    Attributes:
        name: name of its files, such as "table-1".
        title: the heading.
        labels: heads of the label columns.
        lines: from top to bottom.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]


def condition_tables(results: Sequence[Results]) -> list[ComparedTable]:
    """Return every published table to which the study contributes, and one of all other runs.

    A table is complete: published conditions that the study lacks have no figures of ours.
    """
    tables = [
        ComparedTable(f"table-{number}", f"Table {number}: {title}", LABELS, tuple(lines))
        for number, title in TITLES.items()
        if (lines := list(_lines(number, results)))
    ]
    others = [one for one in results if not counterparts(one.condition)]
    if others:
        lines = [_line(one.condition, one, None) for one in others]
        title = "Without a published counterpart"
        tables.append(ComparedTable("others", title, LABELS, tuple(lines)))
    return tables


def _lines(number: int, results: Sequence[Results]) -> Iterator[Line]:
    """The lines of one published table; none if the study has none of its conditions."""
    rows = [row for row in published_results() if row.table == number]
    found = [[one for one in results if is_counterpart(row, one.condition)] for row in rows]
    if not any(found):
        return
    for row, ours in zip(rows, found, strict=True):
        for one in ours:
            yield _line(one.condition, one, row)
        if not ours:
            yield _line(condition_of_row(row), None, row)


def _line(condition: Condition, ours: Results | None, row: PublishedResult | None) -> Line:
    figures: dict[str, Compared] = {
        measure: Compared(
            tuple(ours.values(measure)) if ours else (),
            getattr(row, measure) if row else None,
        )
        for measure in MEASURES
    }
    return Line(labels_of(condition), figures, spell_missing(ours))


def labels_of(condition: Condition) -> tuple[str, ...]:
    """Return the labels of a condition: backbone, dataset, strength and method."""
    return (
        condition.backbone,
        condition.dataset,
        format_eps(condition.eps),
        condition.method,
    )


def spell_missing(results: Results | None) -> str:
    """Return how many runs are missing; empty if none is."""
    if results is None:
        return NOT_PLANNED
    return str(results.missing) if results.missing else ""
