"""Carry out a study: start every missing run, list the failures, and continue with the rest.

Its folder holds

    study.yaml                              a copy of the study's file
    searches.json                           what the searches of the study found, and their budgets
    runs/VALUE/.../METHOD/seed-S-HASH       the folder of a run, below a value of every axis
    runs/.../METHOD/seed-S-HASH-error.txt   the last error of a failed run
    choices/CHOICE/VALUE/.../OPTION/...     the runs of the options of a choice
    choices.json                            the chosen options, and the figures that decided
    results.csv                             one row per run
    study.md, study.png                     the table and the picture

HASH is the identity of a run. With changed settings it is another run, and the old one stays.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rampart.errors import RampartError
from rampart.experiments.cells import Cell, FailedRun, figures_of, save_failure
from rampart.experiments.engines.base import Engine
from rampart.experiments.engines.in_process import InProcess
from rampart.experiments.run_figures import RunFigures
from rampart.experiments.study import Study
from rampart.experiments.study_cells import (
    Decision,
    best_options,
    chosen_cells,
    means_of_options,
    method_cells,
    option_cells,
)
from rampart.experiments.study_folder import require_own_folder
from rampart.files import write_atomic
from rampart.progress.work import working
from rampart.runs.lock import tidy

Result = RunFigures | FailedRun


class Watcher(Protocol):
    """An observer of a study; it never changes the results."""

    def on_progress(self, cell: Cell, line: str) -> None:
        """Receive a line of progress of a run."""

    def on_end(self, cell: Cell, result: Result, done: int, total: int) -> None:
        """Receive the result of a run that finished or failed; `done` of `total` have ended."""


class SilentWatcher:
    """Shows nothing."""

    def on_progress(self, cell: Cell, line: str) -> None:
        """Show nothing."""

    def on_end(self, cell: Cell, result: Result, done: int, total: int) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class StudyResult:
    """The result of a study.

    Attributes:
        figures: figures of the finished runs.
        failures: the failed runs.
        open_choices: (task, choice) that could not be made because a run failed; no run used them.
        left_running: the runs that go on after the command.
    """

    figures: list[RunFigures] = field(default_factory=list)
    failures: list[FailedRun] = field(default_factory=list)
    open_choices: list[tuple[str, str]] = field(default_factory=list)
    left_running: list[Cell] = field(default_factory=list)

    def add(self, results: Sequence[tuple[Cell, Result | None]]) -> None:
        """Add the results of runs; None for one that goes on after the command."""
        self.figures.extend(one for _, one in results if isinstance(one, RunFigures))
        self.failures.extend(one for _, one in results if isinstance(one, FailedRun))
        self.left_running.extend(cell for cell, one in results if one is None)

    @property
    def missing(self) -> list[str]:
        """Names of the runs that the table lacks."""
        runs = [failure.cell.name for failure in self.failures if not failure.cell.choice]
        return [*runs, *(f"{task}, {choice}, every seed" for task, choice in self.open_choices)]


def run_study(
    study: Study, output: Path, *, engine: Engine | None = None, watcher: Watcher | None = None
) -> StudyResult:
    """Carry out the missing runs of a study; return the figures of all its runs.

    A failed run does not stop the others; its last error is saved beside its folder. A second
    call skips the finished runs and resumes the others.

    Args:
        study: the study to carry out.
        output: folder of the study.
        engine: carries out the runs; by default one after another in this process.
        watcher: observer of every run.

    Raises:
        RunError: the folder holds others than the runs of this study; no run was started.
        KeyboardInterrupt: a signal; every run has saved a checkpoint.
    """
    require_own_folder(study, output)
    engine, watcher, result = engine or InProcess(), watcher or SilentWatcher(), StudyResult()
    result.add(_carry_out(method_cells(study, output), engine, watcher))
    chosen = choose(study, output, engine, watcher, result)
    result.add(_carry_out(chosen_cells(study, output, chosen), engine, watcher))
    return result


def choose(
    study: Study, output: Path, engine: Engine, watcher: Watcher, result: StudyResult
) -> dict[Decision, str]:
    """Choose for each task the settings that are best on validation; write `choices.json`.

    If a run failed, nothing is chosen for its task, and `result.open_choices` lists the choice.
    """
    ended = _carry_out(option_cells(study, output), engine, watcher)
    result.add([one for one in ended if not isinstance(one[1], RunFigures)])
    means = means_of_options(
        (cell, one if isinstance(one, RunFigures) else None) for cell, one in ended
    )
    chosen = best_options(means)
    result.open_choices.extend(one for one in means if one not in chosen)
    written: dict[str, Any] = {task.name: {} for task in study.tasks}
    for (task, name), best in chosen.items():
        written[task][name] = {"chosen": best, "validation expected": means[task, name]}
    if study.choices:
        write_atomic(output / "choices.json", json.dumps(written, indent=1) + "\n")
    return chosen


def _carry_out(
    cells: Sequence[Cell], engine: Engine, watcher: Watcher
) -> list[tuple[Cell, Result | None]]:
    """Carry out every run that is not finished; return all results in the order of the cells.

    A run without a result goes on after the command.
    """
    results: dict[Path, Result] = {
        cell.folder: found for cell in cells if (found := _finished(cell)) is not None
    }
    missing = [cell for cell in cells if cell.folder not in results]
    with working("study", len(cells), "run", done=len(results)) as update:
        for cell, failure in engine.carry_out(missing, watcher.on_progress):
            results[cell.folder] = failure or _read(cell)
            watcher.on_end(cell, results[cell.folder], len(results), len(cells))
            update(len(results))
    return [(cell, results.get(cell.folder)) for cell in cells]


def _finished(cell: Cell) -> RunFigures | None:
    """The figures of a finished run; damage is reported when the run is attempted."""
    try:
        figures = figures_of(cell)
    except RampartError:
        return None
    if figures is not None:
        for folder in (cell.folder, *cell.folder.glob("evaluations/*")):
            tidy(folder)
    return figures


def _read(cell: Cell) -> Result:
    try:
        figures = figures_of(cell)
    except RampartError as error:
        return save_failure(cell, str(error))
    return figures or save_failure(cell, "it ended without an evaluation")
