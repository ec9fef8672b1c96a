"""The settings of a prediction: those of an evaluation that change it."""

from collections.abc import Sequence

from rampart.errors import UnknownName
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.settings import load_for_evaluation
from rampart.runs.run_folder import RunFolder

#: Settings of a prediction, and those that only other models than a run's have.
SETTINGS = ("data.image_size", "data.resize", "evaluation.batch_size", "training.device")
OF_MODEL = ("model.mean", "model.std")


def load_for_run(folder: RunFolder, overrides: Sequence[str]) -> RunConfig:
    """Read the configuration of predictions of a finished run.

    Raises:
        UnknownName: a setting is not in `SETTINGS`.
        RunError: the run is not finished.
        RampartError: as `load_config`.
    """
    _require_settings(overrides, SETTINGS)
    folder.require_finished()
    return load_for_evaluation(folder, overrides)


def load_for_reference(reference: str, overrides: Sequence[str]) -> RunConfig:
    """Read the configuration of predictions of any classifier.

    Raises:
        UnknownName: a setting is neither in `SETTINGS` nor in `OF_MODEL`.
        RampartError: as `load_config`.
    """
    _require_settings(overrides, (*SETTINGS, *OF_MODEL))
    here = f"model.name={reference}", "data.name=images"
    return load_for_evaluation(None, (*here, *overrides))


def _require_settings(overrides: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a setting that does not change a prediction."""
    for key in (text.partition("=")[0] for text in overrides):
        if key not in known:
            raise UnknownName("setting of a prediction", key, known)
