"""Carry out a study: start every missing run, list the failures, and continue with the rest.

Its folder holds

    runs/TASK/METHOD/seed-S            the folder of a run
    runs/TASK/METHOD/seed-S-error.txt  the last error of a failed run
    choices/CHOICE/TASK/OPTION/...     the runs of the options of a choice
    choices.json                       the chosen options, and the figures that decided
    results.csv                        one row per run
    study.md, study.png                the table and the picture
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rampart.errors import RampartError
from rampart.experiments.cells import (
    Cell,
    FailedRun,
    attempt,
    evaluation_of,
    figures_of,
    make_cell,
    require_same,
    save_failure,
)
from rampart.experiments.run_figures import RunFigures
from rampart.experiments.study import Overrides, Study
from rampart.experiments.study_folder import RUNS, choice_folder, require_own_folder
from rampart.experiments.workers import attempt_all
from rampart.files import write_atomic

Result = RunFigures | FailedRun
Chosen = dict[str, dict[str, Overrides]]


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
    study: Study, output: Path, *, workers: int = 1, watcher: Watcher | None = None
) -> StudyResult:
    """Carry out the missing runs of a study; return the figures of all its runs.

    A failed run does not stop the others; its last error is saved beside its folder. A second
    call skips the finished runs and resumes the others.

    Args:
        study: the study to carry out.
        output: folder of the study.
        workers: number of runs at the same time; above 1, each runs in a process of its own.
        watcher: observer of every run.

    Raises:
        RunError: the folder holds others than the runs of this study; no run was started.
        KeyboardInterrupt: a signal; every run has saved a checkpoint.
    """
    require_own_folder(study, output)
    watcher, result = watcher or SilentWatcher(), StudyResult()
    methods = dict.fromkeys(study.tasks, study.methods)
    result.add([one for _, one in _carry_out(_cells(study, output, methods), workers, watcher)])
    chosen = choose(study, output, workers, watcher, result)
    result.add([one for _, one in _carry_out(_cells(study, output, chosen), workers, watcher)])
    return result


def choose(
    study: Study, output: Path, workers: int, watcher: Watcher, result: StudyResult
) -> Chosen:
    """Choose for each task the settings that are best on validation; write `choices.json`.

    If a run failed, nothing is chosen for its task, and `result.open_choices` lists the choice.
    """
    cells = [
        make_cell(
            study,
            choice_folder(output, name),
            task,
            option,
            (*study.methods[choice.method], *settings),
            seed,
            name,
        )
        for name, choice in study.choices.items()
        for task in study.tasks
        for option, settings in choice.among.items()
        for seed in choice.seeds
    ]
    ended = _carry_out(cells, workers, watcher)
    result.add([one for _, one in ended if isinstance(one, FailedRun)])
    written: dict[str, Any] = {task: {} for task in study.tasks}
    chosen: Chosen = {task: {} for task in study.tasks}
    for name, choice in study.choices.items():
        for task in study.tasks:
            values = _means(ended, name, task)
            if values is None:
                result.open_choices.append((task, name))
                continue
            best = max(values, key=lambda option: values[option])
            written[task][name] = {"chosen": best, "validation expected": values}
            chosen[task][name] = (*study.methods[choice.method], *choice.among[best])
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


def _cells(study: Study, output: Path, methods: Chosen) -> list[Cell]:
    return [
        make_cell(study, output / RUNS, task, method, settings, seed)
        for seed in study.seeds
        for task in study.tasks
        for method, settings in methods[task].items()
    ]


def _carry_out(cells: Sequence[Cell], workers: int, watcher: Watcher) -> list[tuple[Cell, Result]]:
    """Carry out every run that is not finished; return all results in the order of the cells."""
    for cell in cells:
        require_same(cell)
    finished = [_is_finished(cell) for cell in cells]
    missing = [cell for cell, has in zip(cells, finished, strict=True) if not has]
    failures: dict[Path, FailedRun] = {}
    ended = _attempt_each(missing, workers, watcher)
    for done, (cell, failure) in enumerate(ended, sum(finished) + 1):
        if failure:
            failures[cell.folder] = failure
        watcher.on_end(cell, failure or _read(cell), done, len(cells))
    return [(cell, failures.get(cell.folder) or _read(cell)) for cell in cells]


def _attempt_each(
    cells: Sequence[Cell], workers: int, watcher: Watcher
) -> Iterator[tuple[Cell, FailedRun | None]]:
    """Carry out runs; yield each as it ends."""
    if workers > 1:
        yield from attempt_all(cells, workers, watcher.on_progress)
        return
    for cell in cells:
        yield cell, attempt(cell, partial(watcher.on_progress, cell))


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
