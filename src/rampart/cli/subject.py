"""What verbs refuse before their slow imports: a run that is not finished, and wrong settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rampart.files import require_output_folder
from rampart.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from rampart.recipes.config.run_config import RunConfig


def require_finished(*runs: Path) -> None:
    """Refuse folders without a finished run.

    Raises:
        RunError: as `RunFolder.require_finished`.
    """
    for run in runs:
        RunFolder(run).require_finished()


def require_evaluable(model: str, overrides: Sequence[str], output: Path | None) -> bool:
    """Refuse a run that is not finished, and settings that no evaluation of the model has.

    Args:
        model: a run or any other classifier.
        overrides: settings of the evaluation.
        output: its folder, if it is given.

    Returns:
        whether the model is a run.

    Raises:
        RampartError: the run, the settings, the data or the folder, as in the evaluation itself.
    """
    from rampart.data.naming import require_data
    from rampart.recipes.evaluation.settings import (
        load_for_evaluation,
        load_for_model,
    )
    from rampart.recipes.measurable import require_measurable

    if output is not None:
        require_output_folder(output)
    if not names_run(model, overrides):
        config = load_for_model(model, overrides)
        require_measurable(config)
        require_data(config.data.name, config.data.root)
        return False
    run = RunFolder(Path(model))
    require_finished(run.path)
    config = load_for_evaluation(run, overrides)
    require_measurable(config)
    # The data of a run are not needed for an evaluation that is there already.
    if any(one.startswith("data") for one in overrides):
        require_data(config.data.name, config.data.root)
    return True


def load_for_data(
    source: Path | RunFolder | None, overrides: Sequence[str], *, resume: bool = False
) -> "RunConfig":
    """Read a configuration; a wrong one, or one whose data are not there, is answered at once.

    Args:
        source: as of `load_config`.
        overrides: as of `load_config`.
        resume: a run that may be complete, which needs neither its data nor a list of images, so
            they are not looked for.

    Raises:
        DataError: neither a file or folder nor a dataset has the name of the data.
        RampartError: as `load_config`.
    """
    from rampart.data.naming import require_data
    from rampart.recipes.config.loading import load_config
    from rampart.recipes.measurable import require_measurable

    config = load_config(source, overrides)
    if not resume:
        require_measurable(config)
        require_data(config.data.name, config.data.root)
    return config


def names_run(model: str, overrides: Sequence[str] = ()) -> bool:
    """Return whether a model is the folder of a run, or was probably meant as one."""
    return RunFolder(Path(model)).exists() or _is_meant_as_run(model, overrides)


def _is_meant_as_run(model: str, overrides: Sequence[str]) -> bool:
    """Return whether the path was probably meant as a run, so that the error is about runs.

    True for a folder without a model, and for a missing path if the overrides name no data.
    """
    path = Path(model)
    if path.name in ("config.yaml", "run.json"):
        return True
    if path.is_dir():
        return not (path / "config.json").exists()
    named = any(override.startswith("data") for override in overrides)
    return not path.exists() and not named and len(path.parts) > 1 and ":" not in model
