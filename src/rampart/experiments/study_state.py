"""How far a study is, read from its folder; nothing is trained or changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from rampart.errors import RampartError, RunError
from rampart.experiments.cells import Cell, figures_of
from rampart.experiments.loading import load_study
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
from rampart.experiments.study_folder import STUDY_FILE
from rampart.files import read_text
from rampart.runs.contents import SET_ASIDE, runs_in
from rampart.runs.lock import writer_of
from rampart.runs.run_folder import RunFolder

State = Literal["done", "running", "failed", "interrupted", "missing"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class RunState:
    """How far one run is.

    Attributes:
        cell: the run.
        state: done, with figures; running in a process; failed, with its last error; interrupted,
            to be resumed; or missing.
        detail: the process, the error, or the point that the run has reached.
        figures: of a finished run.
    """

    cell: Cell
    state: State
    detail: str = ""
    figures: RunFigures | None = None


@dataclass(frozen=True)
class StudyState:
    """How far a study is.

    Attributes:
        runs: of methods, of the options of choices, and of the choices that are decided.
        waiting: choices that are not decided, with the number of runs that wait for each.
        others: folders of runs with other settings than those of the study.
    """

    runs: tuple[RunState, ...]
    waiting: Mapping[Decision, int]
    others: tuple[Path, ...]

    @property
    def figures(self) -> list[RunFigures]:
        """The figures of the finished runs of methods and decided choices."""
        return [run.figures for run in self.runs if run.figures and not run.cell.choice]

    @property
    def unfinished(self) -> int:
        """The number of runs of methods and choices without figures."""
        runs = sum(not (run.figures or run.cell.choice) for run in self.runs)
        return runs + sum(self.waiting.values())

    def count(self, state: State) -> int:
        """Return the number of runs in a state; runs that wait for a choice are missing."""
        waiting = sum(self.waiting.values()) if state == "missing" else 0
        return sum(run.state == state for run in self.runs) + waiting


def open_study(place: Path, output: Path | None = None) -> tuple[Study, Path]:
    """Return a study and its folder.

    Args:
        place: the folder, which holds a copy of the study's file; or the file.
        output: the folder, if `place` is the file.

    Raises:
        RunError: the folder holds no study, or the file is given without the folder.
    """
    if not place.is_dir():
        study = load_study(place, output)
        if output is None:
            raise RunError(f"{place} is the file of a study: add its folder with --output.")
        return study, output
    if output is not None and output.resolve() != place.resolve():
        raise RunError(f"{place} is a folder of a study, so --output {output} is one too many.")
    if not (place / STUDY_FILE).is_file():
        raise RunError(
            f"{place} holds no {STUDY_FILE}: give the folder that `rampart study run` wrote, or "
            "the file of the study with --output."
        )
    return load_study(place / STUDY_FILE, place), place


def chosen_options(study: Study, output: Path) -> dict[Decision, str]:
    """Return the options of the choices that are decided."""
    return _decide([state_of(cell) for cell in option_cells(study, output)])


def _decide(options: Sequence[RunState]) -> dict[Decision, str]:
    return best_options(means_of_options((run.cell, run.figures) for run in options))


def read_state(study: Study, output: Path) -> StudyState:
    """Return how far a study is."""
    options = [state_of(cell) for cell in option_cells(study, output)]
    chosen = _decide(options)
    cells = [*method_cells(study, output), *chosen_cells(study, output, chosen)]
    runs = (*map(state_of, cells), *options)
    own = {run.cell.folder for run in runs}
    others = [path for path in runs_in(output) if path not in own and SET_ASIDE not in path.parts]
    return StudyState(runs, _waiting(study, chosen), tuple(others))


def _waiting(study: Study, chosen: Mapping[Decision, str]) -> dict[Decision, int]:
    counts = {
        (task.name, name): sum(not study.excludes(task, choice.method, s) for s in study.seeds)
        for task in study.tasks
        for name, choice in study.choices.items()
        if (task.name, name) not in chosen
    }
    return {decision: count for decision, count in counts.items() if count}


def state_of(cell: Cell) -> RunState:
    """Return how far a run is; a damaged one has failed."""
    try:
        figures = figures_of(cell)
        if figures is not None:
            return RunState(cell, "done", figures=figures)
        if writer := _writer_of(cell.folder):
            return RunState(cell, "running", writer)
        if cell.error_file.is_file():
            return RunState(cell, "failed", _last_error(cell.error_file))
        folder = RunFolder(cell.folder)
        if folder.exists():
            reached = "not evaluated" if folder.status() == "complete" else "in training"
            return RunState(cell, "interrupted", reached)
    except RampartError as error:
        return RunState(cell, "failed", str(error))
    return RunState(cell, "missing")


def _writer_of(folder: Path) -> str:
    places: Sequence[Path] = (folder, *RunFolder(folder).evaluations.glob("*"))
    return next((str(writer) for place in places if (writer := writer_of(place))), "")


def _last_error(file: Path) -> str:
    lines = read_text(file, errors="replace").splitlines()
    return lines[1] if len(lines) > 1 else f"see {file}"
