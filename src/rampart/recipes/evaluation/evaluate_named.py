"""Evaluate a run or any other model; everything is written to one folder."""

from pathlib import Path
from typing import Any

from rampart.checksums import MARK, checksum_of
from rampart.recipes.config.loading import load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.data_identity import has_same_data
from rampart.recipes.evaluation.growth import can_grow
from rampart.recipes.evaluation.measure import Progress
from rampart.recipes.evaluation.naming import evaluation_name, name_other_settings
from rampart.recipes.evaluation.output import evaluate_into
from rampart.recipes.evaluation.settings import load_for_evaluation, load_for_model
from rampart.recipes.evaluation.subject import Subject, subject_of_model, subject_of_run
from rampart.records.record import EvaluationRecord
from rampart.records.storage import load_record
from rampart.reports.evaluations import own_evaluation
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runs.lock import tidy
from rampart.runs.run_folder import RunFolder


def evaluate_run(
    path: str | Path,
    overrides: tuple[str, ...] = (),
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> tuple[Path, EvaluationRecord]:
    """Evaluate the model of a finished run at every strength of the grid.

    An interrupted evaluation resumes.

    Args:
        path: the run's folder.
        overrides: changes such as `threat.eps=8/255` or `evaluation.attack=standard`.
        output: folder of the evaluation; by default inside the run's folder.
        overwrite: replace an earlier evaluation with the same settings.
        on_progress: called with (samples done, samples in all).

    Returns:
        The folder of the evaluation, and its record.

    Raises:
        RunError: the run is not finished, or the evaluation exists.
    """
    folder = RunFolder(Path(path))
    folder.require_finished()
    config = load_for_evaluation(folder, overrides)
    accelerator, subject = subject_of_run(folder, config)
    target = Path(output or folder.evaluations / name_for_run(folder, subject))
    return target, evaluate_into(subject, target, accelerator, overwrite, on_progress)


def name_for_run(folder: RunFolder, subject: Subject, threats: str = "") -> str:
    """Return the name of an evaluation; it names the data unless they are those of the run.

    It also names another size and another resizing of the images. `threats` as `evaluation_name`.
    """
    name, splits = evaluation_name(subject.config, threats), subject.splits
    own = load_config(folder).data
    for key in ("image_size", "resize"):
        value = getattr(subject.config.data, key)
        if value != getattr(own, key):
            name += f"-{key}_{value}"
    if has_same_data(folder, splits):
        return name
    data = Path(subject.config.data.name).name
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in data)
    told_apart = checksum_of([splits.fingerprint(), splits.contents()]).removeprefix(MARK)
    return f"{name}-data_{safe}_{told_apart[:6]}"


def ensure_evaluated(
    path: Path, *, on_progress: Progress | None = None, **changes: Any
) -> tuple[Path, EvaluationRecord]:
    """Return the evaluation that a run's own configuration describes; evaluate if it is missing.

    An interrupted evaluation resumes, and one of fewer images grows. An evaluation with other
    settings in the same folder is replaced.

    Args:
        path: the run's folder.
        on_progress: called with (samples done, samples in all).
        changes: values that replace those of the section `evaluation`.

    Returns:
        The folder of the evaluation, and its record.

    Raises:
        RunError: the run is not finished.
    """
    found = own_evaluation(path, **changes)
    if found is not None:
        tidy(found)
        return found, load_record(found)
    overrides = tuple(
        f"evaluation.{key}={'null' if value is None else value}" for key, value in changes.items()
    )
    folder = RunFolder(path)
    config = load_config(folder, overrides)
    there = EvaluationFolder(folder.evaluations / evaluation_name(config))
    overwrite = not (there.has_begun() or can_grow(there, config))
    return evaluate_run(path, overrides, overwrite=overwrite, on_progress=on_progress)


def evaluate_model(
    reference: str,
    overrides: tuple[str, ...],
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> tuple[Path, EvaluationRecord]:
    """Evaluate any classifier (see `rampart.models.external.load`) at every strength of the grid.

    Args:
        reference: the model, such as `timm:NAME`, `module:factory` or a file.
        overrides: at least `data=FOLDER`; others as for a run, and `model.mean` and `model.std`.
        output: folder of the evaluation; by default in `evaluations`.
        overwrite: replace an earlier evaluation there.
        on_progress: called with (samples done, samples in all).

    Raises:
        RampartError: the model, the data or the settings are invalid.
    """
    config = load_for_model(reference, overrides)
    accelerator, subject = subject_of_model(config)
    target = Path(output or f"evaluations/{name_for_model(reference, config)}")
    return target, evaluate_into(subject, target, accelerator, overwrite, on_progress)


def name_for_model(reference: str, config: RunConfig, threats: str = "") -> str:
    """Return the name of an evaluation of an external model; `threats` as `evaluation_name`."""
    parts = [reference, Path(config.data.name).name, evaluation_name(config, threats)]
    parts += name_other_settings(config)
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in "-".join(parts))
    return name.strip("._")
