"""One run of a study: train it, evaluate it and read its figures, or report why it failed."""

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart.errors import RampartError, RunError, reason
from rampart.experiments.coordinates import Coordinates, spell_coordinates
from rampart.experiments.grid import Task
from rampart.experiments.run_figures import RunFigures, read_figures
from rampart.experiments.set_aside import set_aside_damage
from rampart.experiments.study_advice import in_study
from rampart.experiments.study_folder import DIGITS, place_of, run_folder
from rampart.files import write_atomic
from rampart.progress.lines import Lines
from rampart.progress.work import showing
from rampart.recipes.config.differences import differences, spell_differences
from rampart.recipes.config.identity import identity
from rampart.recipes.config.loading import dump_config, load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.reports.evaluations import own_evaluation
from rampart.runs.run_folder import RunFolder
from rampart.training.reporting import LineReporter

#: Takes one line of progress.
ReportLine = Callable[[str], None]


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        coordinates: value of every axis, by the axis.
        method: name of the method; for a choice, name of the option.
        config: configuration of the run.
        folder: folder of the run.
        choice: name of the choice that the run belongs to; empty for a run of a method.
    """

    coordinates: Coordinates
    method: str
    config: RunConfig
    folder: Path
    choice: str = ""

    @property
    def task(self) -> str:
        """Name of the task."""
        return spell_coordinates(self.coordinates)

    @property
    def identity(self) -> str:
        """Identity of the run, as in the name of its folder."""
        return identity(self.config)[:DIGITS]

    @property
    def split(self) -> str:
        """The split that the run is evaluated on: validation for a choice, else test."""
        return "validation" if self.choice else "test"

    @property
    def name(self) -> str:
        """Name of the run in messages."""
        where = f" for '{self.choice}'" if self.choice else ""
        return f"{self.task}, {self.method}{where}, seed {self.config.seed}"

    @property
    def error_file(self) -> Path:
        """The file with the last error of the run, beside its folder."""
        return self.folder.with_name(f"{self.folder.name}-error.txt")


#: Trains and evaluates a run.
CarryOut = Callable[[Cell, ReportLine], None]


@dataclass(frozen=True)
class FailedRun:
    """A failed run of a study.

    Attributes:
        cell: the run.
        reason: the error, in one line.
    """

    cell: Cell
    reason: str


def make_cell(task: Task, method: str, config: RunConfig, root: Path, choice: str = "") -> Cell:
    """Return one run of a study; its folder lies below `root`."""
    place = place_of(root, task.coordinates.values(), method)
    return Cell(task.coordinates, method, config, run_folder(place, config), choice)


def require_own(cell: Cell) -> None:
    """Refuse a folder whose run has another configuration than its name says.

    Raises:
        RunError: the configuration was changed or is damaged.
    """
    folder = RunFolder(cell.folder)
    if not folder.exists():
        return
    # The settings as this version writes them need no validation to be the same.
    if folder.settings() == dump_config(cell.config):
        return
    found = differences(load_config(folder), cell.config)
    changed = [one for one in found if one.affects != "nothing"]
    if changed:
        raise RunError(
            f"{cell.folder} holds a run with another configuration ({spell_differences(changed)}), "
            "because its config.yaml was changed: delete that folder."
        )


def evaluation_of(cell: Cell) -> Path | None:
    """Return the folder of the run's own evaluation on its split; None if it is not finished.

    Raises:
        RunError: a file of the run is damaged or was changed.
    """
    require_own(cell)
    return own_evaluation(cell.folder, **_evaluation_changes(cell))


def figures_of(cell: Cell) -> RunFigures | None:
    """Return the figures of a run; None if it is not finished.

    Raises:
        RunError: a file of the run is damaged or was changed.
    """
    evaluation = evaluation_of(cell)
    if evaluation is None:
        return None
    seed, identity = cell.config.seed, cell.identity
    return read_figures(cell.coordinates, cell.method, seed, identity, cell.folder, evaluation)


def attempt(cell: Cell, report: ReportLine, carry_out: CarryOut) -> FailedRun | None:
    """Carry out one run; return its failure, or None.

    `cell.error_file` holds the error until the run succeeds.

    Args:
        cell: the run.
        report: takes lines of progress.
        carry_out: trains and evaluates the run, in this process or in others.

    Raises:
        KeyboardInterrupt: a signal stopped the run; the argument is its number.
    """
    # Here and below, so that a study can be shown without what trains.
    from rampart.training.interrupts import Interrupted

    try:
        run_cell(cell, report, carry_out)
    except Interrupted as stop:
        raise KeyboardInterrupt(stop.signal_number) from stop
    except Exception as error:
        return save_failure(cell, describe_error(error), traceback.format_exc())
    cell.error_file.unlink(missing_ok=True)
    return None


def save_failure(cell: Cell, why: str, detail: str = "") -> FailedRun:
    """Return a failure, and write it to the error file of the run.

    Advice about the options of `rampart train` becomes advice about the run of the study.
    """
    why = in_study(why, cell.folder)
    # If the file cannot be written either, the printed line has to suffice.
    with suppress(RunError):
        write_atomic(cell.error_file, "\n".join([cell.name, why, "", detail]))
    return FailedRun(cell, why)


def run_cell(cell: Cell, report: ReportLine, carry_out: CarryOut) -> None:
    """Set damage aside, refuse a run with other settings, then carry out the run."""
    for line in set_aside_damage(cell.folder):
        report(line)
    require_own(cell)
    carry_out(cell, report)


def train_and_evaluate(cell: Cell, report: ReportLine) -> None:
    """Train one run, or resume it, and evaluate it; all processes of a run call this together."""
    from rampart.recipes.evaluation.evaluate_named import ensure_evaluated
    from rampart.recipes.train import train_run

    resume = RunFolder(cell.folder).exists()
    with showing(Lines(report)):
        train_run(cell.config, cell.folder, resume=resume, reporter=LineReporter(report))
        report(f"evaluation on the {cell.split} split")
        ensure_evaluated(cell.folder, **_evaluation_changes(cell))


def _evaluation_changes(cell: Cell) -> dict[str, Any]:
    """The keys in which the evaluation differs from the configuration of the run."""
    # Limit and until apply to test images; choices use the whole validation split.
    return {"split": cell.split, **({"limit": None, "until": None} if cell.choice else {})}


def describe_error(error: Exception) -> str:
    """Return the message of an error, with its type if it is not one of Rampart's."""
    return str(error) if isinstance(error, RampartError) else reason(error)
