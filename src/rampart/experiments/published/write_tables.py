"""Write the tables of a study beside the published ones."""

import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from rampart.experiments.published.averages import average_tables
from rampart.experiments.published.cells import sheet_of, sheet_of_tests
from rampart.experiments.published.conditions import Results
from rampart.experiments.published.costs import cost_sheet
from rampart.experiments.published.delays import delay_sheet, delayed_runs
from rampart.experiments.published.paired import comparisons
from rampart.experiments.published.tables import condition_tables
from rampart.files import write_atomic
from rampart.published import sources
from rampart.reports.sheets import FORMATS, Format, Sheet


def published_sheets(results: Sequence[Results], references: Collection[str] = ()) -> list[Sheet]:
    """Return all tables of a study beside the publication; those without a line are left out.

    Args:
        results: every condition of the study, also those without a finished run.
        references: methods that the others are tested against; by default those of fixed strength.
    """
    tables = [*condition_tables(results), *average_tables(results)]
    numbered = [*map(sheet_of, tables), sheet_of_tests(comparisons(results, references))]
    sheets = [
        *sorted(numbered, key=_number),
        delay_sheet(delayed_runs(results)),
        cost_sheet(results),
    ]
    return [one for one in sheets if one.lines]


def _number(sheet: Sheet) -> float:
    """The number of a published table; the others come last."""
    number = sheet.name.removeprefix("table-")
    return int(number) if number.isdigit() else math.inf


def write_published_tables(
    results: Sequence[Results],
    folder: Path,
    references: Collection[str] = (),
    formats: Iterable[Format] = tuple(FORMATS),
) -> list[Path]:
    """Write all tables as files, and in Markdown one page, `published.md`; return the files.

    Raises:
        RunError: a file cannot be written.
    """
    sheets, written = published_sheets(results, references), []
    for form in formats:
        ending, spell = FORMATS[form]
        if form == "md":
            path = folder / f"published{ending}"
            write_atomic(path, page(results, sheets))
            written.append(path)
            continue
        for sheet in sheets:
            path = folder / f"{sheet.name}{ending}"
            write_atomic(path, spell(sheet))
            written.append(path)
    return written


def page(results: Sequence[Results], sheets: Sequence[Sheet]) -> str:
    """Return all tables as one page, with what the reader must know to compare."""
    spell = FORMATS["md"][1]
    source = sources()["results"]
    lines = [
        f"Published figures: {source.authors}, {source.venue}, arXiv {source.arxiv}. Accuracies in "
        "percent, differences in points. Ours is the mean over the seeds with its 95 % interval; "
        "below three seeds the values of the seeds are shown. Expected robustness follows the "
        "publication's rule, the trapezoid on k/255.",
        "",
        *_changes(results),
    ]
    return "\n".join([*lines, *map(spell, sheets)])


def _changes(results: Sequence[Results]) -> list[str]:
    """The settings in which the study differs from the published recipe."""
    changes = dict.fromkeys(change for one in results for change in one.condition.changes)
    if not changes:
        return []
    return ["Settings of the study that differ:", "", *(f"- {one}" for one in changes), ""]
