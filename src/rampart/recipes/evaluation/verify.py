"""Verify a record from its adversarial examples."""

from collections.abc import Sequence
from pathlib import Path

import torch

from rampart.counting import counted
from rampart.data.batches import ordered_batches
from rampart.data.splits import changed_contents
from rampart.errors import RunError
from rampart.evaluation.verification import Verification, verify_record
from rampart.recipes.config.differences import differences
from rampart.recipes.config.loading import change_config, parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.evaluation.measure import Progress
from rampart.recipes.evaluation.subject import subject_of_model, subject_of_run
from rampart.records.storage import load_record
from rampart.runs.contents import spell
from rampart.runs.run_folder import RunFolder
from rampart.units import require_norm


def verify(
    path: Path,
    overrides: tuple[str, ...] = (),
    on_progress: Progress | None = None,
) -> Verification:
    """Verify a record from its adversarial examples, with the model and the data that it names.

    Args:
        path: the evaluation's folder.
        overrides: changes to its settings, such as data=FOLDER if the data have moved.
        on_progress: called with (samples done, samples in all).

    Raises:
        InvalidArgument: the record is of a corruption.
        RunError: the record is missing or has no adversarial examples, the model or the data
            have changed, or the overrides change how the record was made.
    """
    # A record of a corruption has no adversarial examples, and cannot get any.
    require_norm(load_record(path).norm, "record", "no attack ran, so there is nothing to verify")
    record = load_record(path, adversarial_examples=True)
    if record.metadata["model"]["source"] == "callable":
        raise RunError(
            f"the model of {path} was passed as a Python object: verify the record in Python, with "
            "rampart.verify_record."
        )
    settings = parse_config(record.metadata["settings"])
    config = change_config(settings, overrides)
    _require_same_measurement(settings, config)
    if "run" in record.metadata:
        # An evaluation is usually inside its run's folder, which may have moved.
        nearby = RunFolder(path.resolve().parent.parent)
        own = nearby if nearby.exists() else RunFolder(Path(record.metadata["run_folder"]))
        own.require_finished()
        _, subject = subject_of_run(own, config)
    else:
        _, subject = subject_of_model(config)
    known = record.metadata["model"]["fingerprint"]
    if subject.model.fingerprint != known:
        raise RunError(
            f"the model is not the one that {path} was made with: its weights, or the code file "
            "that builds it, have changed since."
        )
    place = {name: row for row, name in enumerate(subject.split.ids)}
    unknown = [name for name in record.ids if name not in place]
    if unknown:
        raise RunError(
            f"the data lack {counted(len(unknown), 'image')} of {path}, such as '{unknown[0]}'."
        )
    before = record.metadata["data"].get("content", {})
    if changed := changed_contents(before, subject.splits.contents()):
        raise RunError(
            f"images of {path} have changed since the evaluation, under the same names (split: "
            f"{spell(changed, word='and')}): restore them, or evaluate again."
        )

    def images_of(ids: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        part = subject.split.subset([place[name] for name in ids])
        (batch,) = ordered_batches(part, len(ids))
        batch = batch.to(subject.model.device)
        return batch.pixels(), batch.labels

    count = (lambda done: on_progress(done, len(record))) if on_progress else None
    return verify_record(record, subject.model.model, images_of, on_progress=count)


def _require_same_measurement(settings: RunConfig, config: RunConfig) -> None:
    """Refuse changes of the threat and the like: a verification takes them from the record."""
    moved = ("data", "model", "training.device")
    changed = [
        one.key
        for one in differences(settings, config)
        if one.affects != "nothing" and not one.is_in(*moved)
    ]
    if changed:
        raise RunError(
            f"a verification cannot change {', '.join(changed)}, because the record states how it "
            "was made: leave them out, or evaluate again."
        )
