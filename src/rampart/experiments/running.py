"""Carry out a study: what is missing of it is run, whatever fails is listed, and the rest goes on.

Its folder holds

    runs/TASK/ARM/seed-S            the folder of a run
    runs/TASK/ARM/seed-S-error.txt  the last error of a run that failed
    choices/CHOICE/TASK/OPTION/...  runs that settings are chosen by
    choices.json                    what was chosen, and why
    results.csv                     one row per run
    study.md, study.png             the table and the picture
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
    failed,
    figures_of,
    make_cell,
    require_same,
)
from rampart.experiments.rows import RunFigures
from rampart.experiments.study import Overrides, Study, file_name
from rampart.experiments.workers import attempt_all
from rampart.files import write_atomic

Result = RunFigures | FailedRun
Chosen = dict[str, dict[str, Overrides]]


class Watcher(Protocol):
    """Learns what a study does; it never changes what happens."""

    def says(self, cell: Cell, line: str) -> None:
        """A run tells its progress."""

    def ends(self, cell: Cell, result: Result, done: int, total: int) -> None:
        """A run is finished, or has failed; `done` of `total` have ended."""


class Unwatched:
    """Shows nothing."""

    def says(self, cell: Cell, line: str) -> None:
        """Show nothing."""

    def ends(self, cell: Cell, result: Result, done: int, total: int) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class StudyResult:
    """What a study has come to.

    Attributes:
        figures: of the runs that are finished.
        failures: the runs that failed.
        open_choices: (task, choice) that wait for runs that failed; nothing was run with them.
    """

    figures: list[RunFigures] = field(default_factory=list)
    failures: list[FailedRun] = field(default_factory=list)
    open_choices: list[tuple[str, str]] = field(default_factory=list)

    def add(self, results: Sequence[Result]) -> None:
        """Add runs that have ended."""
        self.figures.extend(one for one in results if isinstance(one, RunFigures))
        self.failures.extend(one for one in results if isinstance(one, FailedRun))

    @property
    def missing(self) -> list[str]:
        """What the table lacks."""
        runs = [failure.cell.name for failure in self.failures if not failure.cell.choice]
        return [*runs, *(f"{task}, {choice}, every seed" for task, choice in self.open_choices)]


def run_study(
    study: Study, output: Path, *, workers: int = 1, watcher: Watcher | None = None
) -> StudyResult:
    """Carry out what is missing of a study; return the figures of all its runs.

    A run that fails does not stop the others; its last error is kept beside its folder. Called
    again, the runs that are finished are not run again, and the others go on.

    Args:
        study: what to run.
        output: its folder.
        workers: runs at the same time; more than one are each in a process of its own.
        watcher: learns about every run.

    Raises:
        RunError: the folder has runs of another study; nothing is run.
        KeyboardInterrupt: a signal; every run has saved a checkpoint.
    """
    watcher, result = watcher or Unwatched(), StudyResult()
    methods = dict.fromkeys(study.tasks, study.methods)
    result.add([one for _, one in _carry_out(_cells(study, output, methods), workers, watcher)])
    chosen = choose(study, output, workers, watcher, result)
    result.add([one for _, one in _carry_out(_cells(study, output, chosen), workers, watcher)])
    return result


def choose(
    study: Study, output: Path, workers: int, watcher: Watcher, result: StudyResult
) -> Chosen:
    """Return, task by task, the settings that won on validation; written to `choices.json`.

    Where a run failed nothing is chosen, and `result` says so.
    """
    cells = [
        make_cell(
            study,
            output / "choices" / file_name(name),
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
    told: dict[str, Any] = {task: {} for task in study.tasks}
    chosen: Chosen = {task: {} for task in study.tasks}
    for name, choice in study.choices.items():
        for task in study.tasks:
            values = _means(ended, name, task)
            if values is None:
                result.open_choices.append((task, name))
                continue
            best = max(values, key=lambda option: values[option])
            told[task][name] = {"chosen": best, "validation expected": values}
            chosen[task][name] = (*study.methods[choice.method], *choice.among[best])
    if study.choices:
        write_atomic(output / "choices.json", json.dumps(told, indent=1) + "\n")
    return chosen


def _means(ended: Sequence[tuple[Cell, Result]], name: str, task: str) -> dict[str, float] | None:
    """Mean expected robustness of every option over its seeds; None where a run failed."""
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
        make_cell(study, output / "runs", task, method, settings, seed)
        for seed in study.seeds
        for task in study.tasks
        for method, settings in methods[task].items()
    ]


def _carry_out(cells: Sequence[Cell], workers: int, watcher: Watcher) -> list[tuple[Cell, Result]]:
    """Run every cell that is not finished; every result in the order of the cells."""
    for cell in cells:
        require_same(cell)
    finished = [_is_finished(cell) for cell in cells]
    missing = [cell for cell, has in zip(cells, finished, strict=True) if not has]
    failures: dict[Path, FailedRun] = {}
    for done, (cell, failure) in enumerate(_ended(missing, workers, watcher), sum(finished) + 1):
        if failure:
            failures[cell.folder] = failure
        watcher.ends(cell, failure or _read(cell), done, len(cells))
    return [(cell, failures.get(cell.folder) or _read(cell)) for cell in cells]


def _ended(
    cells: Sequence[Cell], workers: int, watcher: Watcher
) -> Iterator[tuple[Cell, FailedRun | None]]:
    """Carry out runs; yield each as it ends."""
    if workers > 1:
        yield from attempt_all(cells, workers, watcher.says)
        return
    for cell in cells:
        yield cell, attempt(cell, partial(watcher.says, cell))


def _is_finished(cell: Cell) -> bool:
    """Whether a run has its evaluation; where that is damaged, its own attempt says so."""
    try:
        return evaluation_of(cell) is not None
    except RampartError:
        return False


def _read(cell: Cell) -> Result:
    try:
        return figures_of(cell)
    except RampartError as error:
        return failed(cell, str(error))
