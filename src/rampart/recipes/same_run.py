"""Whether a run to resume is still the same, and a run to overwrite is not needed."""

from pathlib import Path

from rampart.errors import RunError
from rampart.models.external.fingerprints import weights_fingerprint
from rampart.recipes.config.differences import differences, spell_differences
from rampart.recipes.config.run_config import RunConfig
from rampart.runs.run_folder import RunFolder
from rampart.training.state import Run


def require_same(old: RunConfig, new: RunConfig, folder: RunFolder) -> None:
    """Refuse to resume with a configuration that changes the result of the training.

    Raises:
        RunError: a setting that changes the result has another value.
    """
    # With checkpoint=best the evaluation's attack also chooses the epoch.
    also = ("evaluation.attack",) if new.training.checkpoint == "best" else ()
    changed = [
        one for one in differences(old, new) if one.affects == "training" or one.is_in(*also)
    ]
    if changed:
        raise RunError(
            f"{folder.path} was started with another configuration ({spell_differences(changed)}): "
            f"{folder.how_to_resume()} to resume with its own settings, or choose another "
            "--output."
        )


def require_same_start(folder: RunFolder, run: Run) -> None:
    """Refuse to resume if the initial weights have changed.

    The checkpoint contains the run's own weights. But the frozen copy of `fare` and the clean
    baselines of pilot and monitors are made again from the initial weights.

    Raises:
        RunError: the initial weights have changed.
    """
    if folder.facts().get("start") != weights_fingerprint(run.bare_model):
        raise RunError(
            f"the initial weights of {folder.path} have changed (another file, or another version "
            "of torch or timm): restore them, or train a new run in another --output."
        )


def require_not_needed(config: RunConfig, folder: RunFolder) -> None:
    """Refuse to overwrite a run whose files the new run reads.

    Raises:
        RunError: a setting names a file of the run.
    """
    model, data = config.model, config.data
    for key, value in (
        ("model.name", model.name.removeprefix("local-dir:")),
        ("model.weights", model.weights),
        ("data.name", data.name),
        ("data.root", data.root),
        ("data.split_file", data.split_file),
        ("evaluation.ids", config.evaluation.ids),
    ):
        if value and folder.deletes(Path(value)):
            raise RunError(
                f"{key}={value} is part of the run in {folder.path}, which --overwrite deletes: "
                "choose another folder with --output."
            )
