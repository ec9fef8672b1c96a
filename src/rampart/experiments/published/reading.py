"""The results of a study by condition, read from its folder; nothing is trained or attacked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from rampart.errors import RampartError
from rampart.experiments.cells import Cell, evaluation_of, figures_of
from rampart.experiments.published.conditions import (
    Condition,
    FinishedRun,
    Results,
    read_run,
)
from rampart.experiments.published.recognizing import condition_of, spell_other_axes
from rampart.experiments.search_budgets import Budgets
from rampart.experiments.study import Study
from rampart.experiments.study_cells import chosen_cells, method_cells, search_budgets
from rampart.experiments.study_state import chosen_options, open_study


@dataclass(frozen=True)
class ReadStudy:
    """What the folder of a study holds.

    Attributes:
        results: every condition of the study, also those without a finished run.
        references: methods that the study compares the others with.
        unreadable: why finished runs could not be read; they count as missing.
    """

    results: tuple[Results, ...]
    references: tuple[str, ...]
    unreadable: tuple[str, ...]


def read_study(folder: Path) -> ReadStudy:
    """Read the finished runs of a study from its folder.

    Raises:
        RunError: the folder is not that of a study, or its file is damaged.
    """
    study, place = open_study(folder)
    return read_results(study, place)


def read_results(study: Study, folder: Path) -> ReadStudy:
    """Return the results of a study whose runs lie in a folder."""
    cells = planned_cells(study, folder)
    results, unreadable = results_of_cells(cells, search_budgets(study))
    return ReadStudy(tuple(results), study.references, tuple(unreadable))


def planned_cells(study: Study, folder: Path) -> list[Cell]:
    """Return the runs of all methods and choices.

    A choice that is not made yet stands with its first option, which has no runs under this name.
    """
    first = {
        (task.name, name): next(iter(choice.among))
        for name, choice in study.choices.items()
        for task in study.tasks
    }
    return [
        *method_cells(study, folder),
        *chosen_cells(study, folder, {**first, **chosen_options(study, folder)}),
    ]


def results_of_cells(
    cells: Iterable[Cell], searches: Budgets = MappingProxyType({})
) -> tuple[list[Results], list[str]]:
    """Return the results by condition, and why finished runs could not be read.

    Args:
        cells: the runs.
        searches: budgets of the searches whose values they have.
    """
    unreadable: list[str] = []
    found: dict[Condition, Results] = {}
    for condition, cell in _conditions(list(cells)):
        run = _finished(cell, unreadable)
        known = found.get(condition, Results(condition))
        runs = (*known.runs, run) if run else known.runs
        spent = searches.get((cell.task, cell.method, cell.config.seed))
        budgets = dict.fromkeys((*known.searches, *([spent] if spent else [])))
        found[condition] = Results(condition, runs, known.planned + 1, tuple(budgets))
    return list(found.values()), unreadable


def _conditions(cells: list[Cell]) -> Iterator[tuple[Condition, Cell]]:
    """The condition of every run; values of other axes join the method where they are needed."""
    found = [condition_of(one.config, one.method, one.coordinates) for one in cells]
    keys = {
        (one.backbone, one.dataset, one.eps, one.method, cell.config.seed)
        for one, cell in zip(found, cells, strict=True)
    }
    for condition, cell in zip(found, cells, strict=True):
        other = spell_other_axes(cell.coordinates) if len(keys) < len(cells) else ""
        method = f"{condition.method}, {other}" if other else condition.method
        yield replace(condition, method=method), cell


def _finished(cell: Cell, unreadable: list[str]) -> FinishedRun | None:
    try:
        figures, record = figures_of(cell), evaluation_of(cell)
        return read_run(figures, cell.folder, record) if figures and record else None
    except RampartError as error:
        unreadable.append(str(error))
        return None
