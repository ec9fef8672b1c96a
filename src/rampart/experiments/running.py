"""Carry out a study: start every missing run, list the failures, and continue with the rest.

Its folder holds

    study.yaml                              a copy of the study's file
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
from rampart.experiments.cells import (
    Cell,
    FailedRun,
    evaluation_of,
    figures_of,
    make_cell,
    save_failure,
)
from rampart.experiments.engines.base import Engine
from rampart.experiments.engines.in_process import InProcess
from rampart.experiments.grid import Task
from rampart.experiments.run_figures import RunFigures
from rampart.experiments.study import Study
from rampart.experiments.study_folder import RUNS, choice_folder, require_own_folder
from rampart.files import write_atomic

Result = RunFigures | FailedRun
#: The chosen option by task and choice.
Chosen = dict[tuple[str, str], str]


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
    """

    figures: list[RunFigures] = field(default_factory=list)
    failures: list[FailedRun] = field(default_factory=list)
    open_choices: list[tuple[str, str]] = field(default_factory=list)

    def add(self, results: Sequence[Result]) -> None:
        """Add the results of runs that have ended."""
        self.figures.extend(one for one in results if isinstance(one, RunFigures))
        self.failures.extend(one for one in results if isinstance(one, FailedRun))

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
    result.add([one for _, one in _carry_out(method_cells(study, output), engine, watcher)])
    chosen = choose(study, output, engine, watcher, result)
    result.add([one for _, one in _carry_out(chosen_cells(study, output, chosen), engine, watcher)])
    return result


def method_cells(study: Study, output: Path) -> list[Cell]:
    """Return the runs of all methods."""
    return [
        make_cell(task, method, study.config(task, method, seed), output / RUNS)
        for task, method, seed in study.runs()
    ]


def choice_cells(study: Study, output: Path) -> list[Cell]:
    """Return the runs of the options of all choices."""
    return [
        make_cell(
            task,
            option,
            study.config(task, choice.method, seed, settings),
            choice_folder(output, name),
            name,
        )
        for name, choice in study.choices.items()
        for task in study.tasks
        for option, settings in choice.among.items()
        for seed in choice.seeds
        if not study.excludes(task, choice.method, seed)
    ]


def chosen_cells(study: Study, output: Path, chosen: Chosen) -> list[Cell]:
    """Return the runs of the choices that have been made, with the seeds of the study."""
    return [
        _chosen_cell(study, output, task, name, chosen[task.name, name], seed)
        for seed in study.seeds
        for task in study.tasks
        for name, choice in study.choices.items()
        if (task.name, name) in chosen and not study.excludes(task, choice.method, seed)
    ]


def _chosen_cell(study: Study, output: Path, task: Task, name: str, option: str, seed: int) -> Cell:
    choice = study.choices[name]
    config = study.config(task, choice.method, seed, choice.among[option])
    return make_cell(task, name, config, output / RUNS)


def choose(
    study: Study, output: Path, engine: Engine, watcher: Watcher, result: StudyResult
) -> Chosen:
    """Choose for each task the settings that are best on validation; write `choices.json`.

    If a run failed, nothing is chosen for its task, and `result.open_choices` lists the choice.
    """
    ended = _carry_out(choice_cells(study, output), engine, watcher)
    result.add([one for _, one in ended if isinstance(one, FailedRun)])
    written: dict[str, Any] = {task.name: {} for task in study.tasks}
    chosen: Chosen = {}
    for task, name in dict.fromkeys((cell.task, cell.choice) for cell, _ in ended):
        values = _means(ended, name, task)
        if values is None:
            result.open_choices.append((task, name))
            continue
        chosen[task, name] = max(values, key=lambda option: values[option])
        written[task][name] = {"chosen": chosen[task, name], "validation expected": values}
    if study.choices:
        write_atomic(output / "choices.json", json.dumps(written, indent=1) + "\n")
    return chosen


def _means(ended: Sequence[tuple[Cell, Result]], name: str, task: str) -> dict[str, float] | None:
    """Mean expected robustness of every option over its seeds; None if a run failed."""
    values: dict[str, list[float]] = {}
    for cell, one in ended:
        if (cell.choice, cell.task) != (name, task):
            continue
        if isinstance(one, FailedRun):
            return None
        values.setdefault(cell.method, []).append(one.expected)
    return {option: sum(found) / len(found) for option, found in values.items()}


def _carry_out(
    cells: Sequence[Cell], engine: Engine, watcher: Watcher
) -> list[tuple[Cell, Result]]:
    """Carry out every run that is not finished; return all results in the order of the cells."""
    finished = [_is_finished(cell) for cell in cells]
    missing = [cell for cell, has in zip(cells, finished, strict=True) if not has]
    failures: dict[Path, FailedRun] = {}
    ended = engine.carry_out(missing, watcher.on_progress)
    for done, (cell, failure) in enumerate(ended, sum(finished) + 1):
        if failure:
            failures[cell.folder] = failure
        watcher.on_end(cell, failure or _read(cell), done, len(cells))
    return [(cell, failures.get(cell.folder) or _read(cell)) for cell in cells]


def _is_finished(cell: Cell) -> bool:
    """Whether a run is evaluated; a damaged evaluation is reported when the run is attempted."""
    try:
        return evaluation_of(cell) is not None
    except RampartError:
        return False


def _read(cell: Cell) -> Result:
    try:
        return figures_of(cell)
    except RampartError as error:
        return save_failure(cell, str(error))
