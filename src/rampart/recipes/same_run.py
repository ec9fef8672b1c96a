"""Whether a run to resume is still the same: its settings and its initial weights."""

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
