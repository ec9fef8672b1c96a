"""The table of a study: every method with intervals, and tests against reference methods."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from rampart.counting import in_thousands
from rampart.errors import RunError
from rampart.experiments.over_tasks import compare_methods, paired_by_seed
from rampart.experiments.run_figures import RunFigures
from rampart.experiments.search_budgets import (
    SEARCH_COLUMN,
    Budgets,
    budgets_by_method,
    spell_budgets,
    spell_unequal,
)
from rampart.experiments.tuning.outcome import Spent
from rampart.files import write_atomic
from rampart.metrics.adaptation import has_measurable_delay
from rampart.metrics.intervals import LEAST_SEEDS, paired_test
from rampart.metrics.lead import Bracket, lead_between
from rampart.reports.grids import MOST_PARTS, UNDECIDED
from rampart.reports.methods import save_methods
from rampart.reports.seeds import spell_seed_differences, spell_seed_leads, spell_seeds

Measure = Literal["clean", "adversarial", "expected"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


#: Stands below the tables, so that they can be read alone.
LEGEND = """
Percent: the mean over the seeds ± half of its 95 % interval, or the value of each seed if there are
fewer than three. Differences are in points, and `bounds` hold for any curve between the strengths.
`adversarial` is the accuracy at the largest strength, `expected` the mean over all strengths.
`passes` are those of one run: images forward or backward, in training, validation, monitors and
pilot.
"""

#: Number of runs of every method, by task.
Planned = Mapping[str, Mapping[str, int]]


def write_table(
    figures: Sequence[RunFigures],
    planned: Planned,
    output: Path,
    references: Sequence[str] = (),
    differences: Sequence[Measure] = ("expected",),
    missing: Sequence[str] = (),
    searches: Budgets = MappingProxyType({}),
) -> str:
    """Write `results.csv` and `study.md`; return the text of the table.

    Args:
        figures: figures of all finished runs.
        planned: number of runs of every method, by task, in the order of the table.
        output: folder of the study.
        references: methods that every other one is compared with, seed by seed.
        differences: the figures that are compared.
        missing: names of failed runs, which are listed below the table.
        searches: budgets of the searches whose values the runs have.
    """
    write_atomic(output / "results.csv", _csv(figures, searches))
    text = "\n".join(
        task_table(
            figures,
            task,
            references,
            differences,
            planned[task],
            budgets_by_method(searches, task),
        )
        for task in planned
    )
    text += _over_tasks(figures, planned, references, differences)
    text += LEGEND
    if missing:
        text += "\nNot in the table, because they failed:\n\n"
        text += "".join(f"- {name}\n" for name in missing)
    write_atomic(output / "study.md", text)
    return text


def _over_tasks(
    figures: Sequence[RunFigures],
    tasks: Iterable[str],
    references: Sequence[str],
    differences: Sequence[Measure],
) -> str:
    runs = {task: _group_by_method([one for one in figures if one.task == task]) for task in tasks}
    tables = [compare_methods(runs, reference, differences) for reference in references]
    return "".join(f"\n{table}" for table in tables if table)


def draw_study(
    figures: Sequence[RunFigures],
    tasks: Iterable[str],
    output: Path,
    references: Sequence[str] = (),
) -> Path:
    """Draw the expected robustness of every method to `study.png`; return the file.

    Raises:
        RunError: no run is finished.
    """
    drawn = {
        task: {
            method: [run.expected for run in runs]
            for method, runs in _group_by_method(
                [one for one in figures if one.task == task]
            ).items()
        }
        for task in tasks
    }
    drawn = {task: methods for task, methods in drawn.items() if methods}
    if not drawn:
        raise RunError(f"no run of the study in {output} is finished, so there is nothing to draw.")
    save_methods(drawn, output / "study.png", "expected robustness", references)
    return output / "study.png"


def task_table(
    figures: Sequence[RunFigures],
    task: str,
    references: Sequence[str] = (),
    differences: Sequence[Measure] = ("expected",),
    planned: Mapping[str, int] = MappingProxyType({}),
    searches: Mapping[str, Sequence[Spent]] = MappingProxyType({}),
) -> str:
    """Return one task's methods as a Markdown table, percent over seeds (`spell_seeds`).

    A method with fewer finished runs than planned shows both numbers. If a method has the values of
    a search, a column has the budgets.

    Differences in expected robustness have bounds where these reach beyond the interval. Below the
    table stand the methods whose difference is undecided by the grid, and unequal budgets.
    """
    methods = _group_by_method([one for one in figures if one.task == task])
    head = [
        "method",
        *([SEARCH_COLUMN] if searches else []),
        *MEASURES,
        "full strength from",
        "passes",
        "adapted in epoch",
    ]
    sizes_differ = len({run.trained for runs in methods.values() for run in runs}) > 1
    head += ["trained weights"] if sizes_differ else []
    compared = [
        (name, measure) for name in references if name in methods for measure in differences
    ]
    head += [f"{measure}, minus '{name}'" for name, measure in compared]
    lines = [f"## {task}", "", _line(head), _line([":--", *["--:"] * (len(head) - 1)])]
    for method in dict.fromkeys((*planned, *methods)):
        runs, wanted = methods.get(method, []), planned.get(method, 0)
        label = f"{method} ({len(runs)} of {wanted} runs)" if len(runs) < wanted else method
        first = [label, *([spell_budgets(searches.get(method, ()))] if searches else [])]
        if not runs:
            lines.append(_line([*first, *["-"] * (len(head) - len(first))]))
            continue
        cells = [*first, *(spell_seeds([getattr(run, name) for run in runs]) for name in MEASURES)]
        cells.append(_span([f"{run.full_from:.0%}" for run in runs]))
        cells.append(in_thousands(sum(run.passes for run in runs) / len(runs)))
        cells.append(_span([_spell_delay(run) for run in runs]))
        if sizes_differ:
            cells.append(_span([f"{run.trained:,}" if run.trained else "?" for run in runs]))
        cells += [
            "" if method == name else _difference(runs, methods[name], measure)
            for name, measure in compared
        ]
        lines.append(_line(cells))
    notes = [_undecided(methods, name) for name, measure in compared if measure == "expected"]
    notes.append(spell_unequal(searches))
    lines += [line for text in notes if text for line in ("", text)]
    return "\n".join([*lines, ""])


def _undecided(methods: Mapping[str, Sequence[RunFigures]], reference: str) -> str:
    """A sentence on the methods whose difference from a reference the grid leaves undecided."""
    names = []
    for method, runs in methods.items():
        first, second = paired_by_seed(runs, methods[reference])
        if len(first) >= LEAST_SEEDS and _bounded([*first, *second]):
            found = lead_between(_bracket(first), _bracket(second), paired_test)
            if found.verdict == "grid":
                few = found.parts <= MOST_PARTS
                names.append(f"{method} ({found.parts if few else f'over {MOST_PARTS}'})")
    return (
        f"Against '{reference}', {UNDECIDED}; in brackets, how many times as many strengths would "
        f"decide (evaluation.resolution): {', '.join(names)}."
        if names
        else ""
    )


def _spell_delay(run: RunFigures) -> str:
    if not has_measurable_delay(run.classes):
        return "not measurable"
    return "never" if run.delay is None else str(run.delay)


def _group_by_method(figures: Sequence[RunFigures]) -> dict[str, list[RunFigures]]:
    methods: dict[str, list[RunFigures]] = {}
    for one in figures:
        methods.setdefault(one.method, []).append(one)
    return methods


def _difference(
    runs: Sequence[RunFigures], reference: Sequence[RunFigures], measure: Measure
) -> str:
    """The paired difference over the seeds that both have."""
    first, second = paired_by_seed(runs, reference)
    if measure == "expected" and first and _bounded([*first, *second]):
        return spell_seed_leads(_bracket(first), _bracket(second))
    a, b = ([getattr(run, measure) for run in part] for part in (first, second))
    return spell_seed_differences(a, b)


def _bounded(runs: Sequence[RunFigures]) -> bool:
    return all(run.expected_least is not None for run in runs)


def _bracket(runs: Sequence[RunFigures]) -> Bracket:
    """Expected robustness of each run, with its bounds."""
    ends = ((run.expected_least, run.expected, run.expected_most) for run in runs)
    return Bracket(*np.array(list(ends), dtype=np.float64).T)


def _span(values: Sequence[str]) -> str:
    """The value if all are equal, else the least and the greatest; 'never' is the greatest."""

    def size(value: str) -> float:
        return float(value.rstrip("%").replace(",", "")) if value[0].isdigit() else float("inf")

    low, high = min(values, key=size), max(values, key=size)
    return low if low == high else f"{low} to {high}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _csv(figures: Sequence[RunFigures], searches: Budgets) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    axes = list(dict.fromkeys(axis for one in figures for axis in one.coordinates))
    writer.writerow((*axes, *RunFigures._fields[1:], *([SEARCH_COLUMN] if searches else [])))
    for one in figures:
        rounded = one._replace(full_from=round(one.full_from, 4), seconds=round(one.seconds, 1))
        row = (*(one.coordinates[axis] for axis in axes), *rounded[1:])
        spent = searches.get((one.task, one.method, one.seed))
        writer.writerow((*row, *([spell_budgets([spent] if spent else [])] if searches else [])))
    return text.getvalue()
