"""One run of a study: train it, evaluate it, read its figures; or say why it failed."""

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rampart.errors import RampartError, RunError, reason
from rampart.experiments.rows import RunFigures, read_figures
from rampart.experiments.study import Overrides, Study, file_name
from rampart.files import write_atomic
from rampart.recipes.config.differences import differences, spell_differences
from rampart.recipes.config.loading import load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.evaluate import ensure_evaluated
from rampart.recipes.run import train_run
from rampart.reports.evaluations import own_evaluation
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted
from rampart.training.reporting import LineReporter, sparse_progress

#: Takes one line of progress.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        task: its name.
        method: its name; of an option to choose among, the option's.
        config: of the run.
        folder: of the run.
        choice: the choice that it is run for, which is judged on the validation split; none for an
            method, which is judged on the test split.
    """

    task: str
    method: str
    config: RunConfig
    folder: Path
    choice: str = ""

    @property
    def split(self) -> str:
        """The split that it is judged on."""
        return "validation" if self.choice else "test"

    @property
    def name(self) -> str:
        """How the run is called in messages."""
        where = f" for '{self.choice}'" if self.choice else ""
        return f"{self.task}, {self.method}{where}, seed {self.config.seed}"

    @property
    def error_file(self) -> Path:
        """Where the last error of the run is kept, beside its folder."""
        return self.folder.with_name(f"{self.folder.name}-error.txt")


@dataclass(frozen=True)
class FailedRun:
    """A run of a study that failed.

    Attributes:
        cell: the run.
        reason: the error, on one line.
    """

    cell: Cell
    reason: str


def make_cell(
    study: Study,
    folder: Path,
    task: str,
    method: str,
    settings: Overrides,
    seed: int,
    choice: str = "",
) -> Cell:
    """Return one run of a study; its folder lies in `folder`."""
    place = folder / file_name(task) / file_name(method) / f"seed-{seed}"
    return Cell(task, method, study.config(task, settings, seed), place, choice)


def require_same(cell: Cell) -> None:
    """Refuse what an earlier version of the study has left: it would stand in the wrong row.

    Raises:
        RunError: the folder of the run holds one of another configuration.
    """
    folder = RunFolder(cell.folder)
    if not folder.exists():
        return
    found = differences(load_config(folder.config), cell.config)
    changed = [one for one in found if one.affects != "nothing"]
    if changed:
        raise RunError(
            f"{cell.folder} holds a run of another configuration ({spell_differences(changed)}), "
            "so the study has changed since: delete that folder, or choose another --output."
        )


def evaluation_of(cell: Cell) -> Path | None:
    """Return the folder of the run's own evaluation on its split, once it is finished."""
    return own_evaluation(cell.folder, **_evaluated(cell))


def figures_of(cell: Cell) -> RunFigures:
    """Return the figures of a finished run."""
    evaluation = evaluation_of(cell)
    assert evaluation is not None, "asked of finished runs only"
    return read_figures(cell.task, cell.method, cell.config.seed, cell.folder, evaluation)


def attempt(cell: Cell, say: Say) -> FailedRun | None:
    """Carry out one run; return why it failed, if it did.

    The error is kept in `cell.error_file` until the run succeeds.

    Raises:
        KeyboardInterrupt: a signal stopped it, with the number of the signal.
    """
    try:
        run_cell(cell, say)
    except Interrupted as stop:
        raise KeyboardInterrupt(stop.signal_number) from stop
    except Exception as error:
        return failed(cell, _told(error), traceback.format_exc())
    cell.error_file.unlink(missing_ok=True)
    return None


def failed(cell: Cell, why: str, detail: str = "") -> FailedRun:
    """Return a failure, and keep it on disk beside the run."""
    # Where nothing can be written either, the line that is printed has to do.
    with suppress(RunError):
        write_atomic(cell.error_file, "\n".join([cell.name, why, "", detail]))
    return FailedRun(cell, why)


def run_cell(cell: Cell, say: Say = lambda line: None) -> None:
    """Train one run, or go on with it, and evaluate it."""
    folder = RunFolder(cell.folder)
    train_run(cell.config, cell.folder, resume=folder.exists(), reporter=LineReporter(say))
    say(f"evaluation on the {cell.split} split")
    progress = sparse_progress(lambda text: say(f"evaluation: {text} images"))
    ensure_evaluated(cell.folder, on_progress=progress, **_evaluated(cell))


def _evaluated(cell: Cell) -> dict[str, str | None]:
    """What the evaluation has other than the run's configuration says."""
    # A limit is meant for the test images; choices are made on the whole validation split.
    return {"split": cell.split, **({"limit": None} if cell.choice else {})}


def _told(error: Exception) -> str:
    """An error of ours says what to do; of another one the kind is told as well."""
    return str(error) if isinstance(error, RampartError) else reason(error)
