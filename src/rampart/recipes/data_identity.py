"""Whether data are those of a run: the same names, labels and images."""

from typing import Any

from rampart.data.splits import OneSplit, Splits, changed_contents
from rampart.errors import RunError
from rampart.runs.contents import spell
from rampart.runs.run_folder import RunFolder


def describe_data(splits: Splits) -> dict[str, Any]:
    """Return the entries of run.json that tell the data of the run from others."""
    facts: dict[str, Any] = {"data": splits.fingerprint(), "content": splits.contents()}
    if splits.true_labels is None:
        return facts
    wrong = int((splits.train.labels != splits.true_labels).sum())
    return {**facts, "label_noise": {"wrong": wrong, "of": len(splits.train)}}


def has_same_data(folder: RunFolder, splits: Splits | OneSplit) -> bool:
    """Whether splits are those of a run: the same names, labels and images."""
    known = folder.facts()
    changed = changed_contents(known.get("content", {}), splits.contents())
    return known.get("data") == splits.fingerprint() and not changed


def require_same_data(folder: RunFolder, splits: Splits) -> None:
    """Refuse splits that differ from those of the training: it may have seen test images.

    Raises:
        RunError: files were added, removed, renamed or changed, or the splits were drawn
            differently.
    """
    known = folder.facts()
    if known.get("data") != splits.fingerprint():
        raise RunError(
            f"the data differ from those that {folder.path} was trained on (files were added, "
            "removed or renamed, or another data.seed or fraction draws the splits), so test "
            "images may have been training images: restore them, evaluate on new images in another "
            "folder with data=FOLDER, or train a new run."
        )
    if changed := changed_contents(known.get("content", {}), splits.contents()):
        raise RunError(
            f"images of {folder.path} have changed since it was started, under the same names "
            f"(split: {spell(changed, word='and')}): restore them, evaluate the changed ones in "
            "another folder with data=FOLDER, or train a new run."
        )
