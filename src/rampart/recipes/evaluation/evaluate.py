"""Evaluate a run, or any other model: everything that it leaves is in one folder."""

from pathlib import Path
from typing import Any

from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.measure import Progress
from rampart.recipes.evaluation.naming import evaluation_name, own_data
from rampart.recipes.evaluation.output import evaluate_into
from rampart.recipes.evaluation.settings import data_moved
from rampart.recipes.evaluation.subject import subject_of_model, subject_of_run
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record
from rampart.reports.evaluations import own_evaluation
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.run_folder import RunFolder


def evaluate_run(
    path: Path,
    overrides: tuple[str, ...] = (),
    output: Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> tuple[Path, EvaluationRecord]:
    """Measure the model of a finished run at every strength of the grid.

    An evaluation that was interrupted goes on where it was.

    Args:
        path: the run's folder.
        overrides: changes such as `threat.eps=8/255` or `evaluation.attack=standard`.
        output: folder of the evaluation; by default in the run's.
        overwrite: replace an earlier evaluation with the same settings.
        on_progress: called with (samples done, samples in all).

    Returns:
        The folder of the evaluation, and its record.

    Raises:
        RunError: no finished run, or the evaluation exists.
    """
    folder = RunFolder(path)
    folder.require_finished()
    accelerator, subject = subject_of_run(folder, load_config(folder.config, data_moved(overrides)))
    target = output or folder.evaluations / evaluation_name(subject.config)
    return target, evaluate_into(subject, target, accelerator, overwrite, on_progress)


def ensure_evaluated(
    path: Path, *, on_progress: Progress | None = None, **changes: Any
) -> tuple[Path, EvaluationRecord]:
    """Return the evaluation that a run's own configuration asks for; make it where it is missing.

    An evaluation that was interrupted goes on. One with other settings that has its folder is
    replaced.

    Args:
        path: the run's folder.
        on_progress: called with (samples done, samples in all).
        changes: keys of the section `evaluation` that are to be other than in the configuration.

    Returns:
        The folder of the evaluation, and its record.

    Raises:
        RunError: no finished run.
    """
    found = own_evaluation(path, **changes)
    if found is not None:
        return found, load_record(found)
    overrides = tuple(
        f"evaluation.{key}={'null' if value is None else value}" for key, value in changes.items()
    )
    folder = RunFolder(path)
    target = folder.evaluations / evaluation_name(load_config(folder.config, overrides))
    overwrite = not EvaluationFolder(target).has_begun()
    return evaluate_run(path, overrides, overwrite=overwrite, on_progress=on_progress)


def evaluate_model(
    reference: str,
    overrides: tuple[str, ...],
    output: Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> tuple[Path, EvaluationRecord]:
    """Measure any classifier (see `rampart.models.external.load`) at every strength of the grid.

    Args:
        reference: what model, such as `timm:NAME`, `module:factory` or a file.
        overrides: at least `data=FOLDER`; then as for a run.
        output: folder of the evaluation; by default below `evaluations`.
        overwrite: replace an earlier evaluation there.
        on_progress: called with (samples done, samples in all).

    Raises:
        RampartError: whatever is wrong with the model, the data or the settings.
    """
    config = load_config(None, (*data_moved(overrides), f"model.name={reference}"))
    accelerator, subject = subject_of_model(config)
    parts = [reference, Path(config.data.name).name, evaluation_name(config), *own_data(config)]
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in "-".join(parts))
    target = output or Path("evaluations") / name.strip("._")
    return target, evaluate_into(subject, target, accelerator, overwrite, on_progress)
