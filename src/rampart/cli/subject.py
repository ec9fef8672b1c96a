"""What verbs refuse before their slow imports: a run that is not finished, and wrong settings.

A verb whose settings stand in no run loads its configuration before its slow imports instead.
"""

from collections.abc import Sequence
from pathlib import Path

from rampart.runs.run_folder import RunFolder


def require_finished(*runs: Path) -> None:
    """Refuse folders without a finished run.

    Raises:
        RunError: as `RunFolder.require_finished`.
    """
    for run in runs:
        RunFolder(run).require_finished()


def require_evaluable(model: str, overrides: Sequence[str]) -> bool:
    """Refuse a run that is not finished, and settings that no evaluation of the model has.

    Returns:
        whether the model is a run.

    Raises:
        RampartError: the run or the settings, as in the evaluation itself.
    """
    from rampart.recipes.evaluation.settings import load_for_evaluation, load_for_model

    if not names_run(model, overrides):
        load_for_model(model, overrides)
        return False
    require_finished(Path(model))
    load_for_evaluation(RunFolder(Path(model)), overrides)
    return True


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
