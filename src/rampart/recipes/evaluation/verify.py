"""Check a record again from its adversarial images."""

from collections.abc import Sequence
from pathlib import Path

import torch

from rampart.data.batches import ordered_batches
from rampart.errors import RunError
from rampart.evaluation.verify import Verification, verify_record
from rampart.recipes.config.loading import change_config, parse_config
from rampart.recipes.evaluation.measure import Progress
from rampart.recipes.evaluation.settings import data_moved
from rampart.recipes.evaluation.subject import subject_of_model, subject_of_run
from rampart.records.storage import load_record
from rampart.runs.run_folder import RunFolder


def verify(
    path: Path,
    overrides: tuple[str, ...] = (),
    on_progress: Progress | None = None,
) -> Verification:
    """Check a record again from its adversarial examples, with the model and the data that it
    names.

    Args:
        path: the evaluation's folder.
        overrides: of the settings of the evaluation, such as data=FOLDER where data have moved.
        on_progress: called with (samples done, samples in all).

    Raises:
        RunError: no record, one without adversarial examples, or another model or other data by
        now.
    """
    record = load_record(path, adversarial_examples=True)
    if record.metadata["model"]["source"] == "callable":
        raise RunError(
            f"the model of {path} was given in Python: check the record there, by "
            "rampart.verify_record."
        )
    config = change_config(parse_config(record.metadata["settings"]), data_moved(overrides))
    if "run" in record.metadata:
        # An evaluation usually lies in its run's folder, wherever that is by now.
        nearby = RunFolder(path.resolve().parent.parent)
        own = nearby if nearby.exists() else RunFolder(Path(record.metadata["run_folder"]))
        own.require_finished()
        _, subject = subject_of_run(own, config)
    else:
        _, subject = subject_of_model(config)
    known = record.metadata["model"]["fingerprint"]
    if subject.model.fingerprint != known:
        raise RunError(
            f"the model is not the one that {path} was made with: its weights, or the file of the "
            "code that makes it, have changed since."
        )
    place = {name: row for row, name in enumerate(subject.split.ids)}
    unknown = [name for name in record.ids if name not in place]
    if unknown:
        raise RunError(f"the data lack {len(unknown)} images of {path}, such as '{unknown[0]}'.")

    def images_of(ids: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        part = subject.split.subset([place[name] for name in ids])
        (batch,) = ordered_batches(part, len(ids))
        batch = batch.to(subject.model.device)
        return batch.pixels(), batch.labels

    told = (lambda done: on_progress(done, len(record))) if on_progress else None
    return verify_record(record, subject.model.model, images_of, on_progress=told)
