"""Evaluate a subject under a common corruption, in the record of every evaluation."""

import time
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from rampart.corruptions.frost_photos import require_photos
from rampart.corruptions.parameters import require_shape
from rampart.data.subset import numbers_of
from rampart.errors import InvalidArgument
from rampart.evaluation.corrupted import Corrupted, evaluate_corruption, joined
from rampart.evaluation.criterion import Criterion, require_beatable
from rampart.evaluation.inference import QueriedModel
from rampart.evaluation.whole import Evaluation
from rampart.recipes.accelerator import one_writer
from rampart.recipes.evaluation.measure import Progress
from rampart.recipes.evaluation.metadata import describe_evaluation
from rampart.recipes.evaluation.subject import Subject
from rampart.records.record import CLEAN, EvaluationRecord
from rampart.records.storage import save_record
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.units import SEVERITIES, Corruption


def require_corruptible(subject: Subject, kind: Corruption) -> None:
    """Refuse a corruption that is not defined for the images or the settings.

    Raises:
        InvalidArgument: images of another size or number of channels, or targeted evaluation.
        MissingExtra: the photos of frost are not installed.
    """
    require_shape(subject.split.image_shape)
    wanted = subject.config.evaluation
    if wanted.target != "none":
        do = "leave the corruptions out of --threats"
        raise InvalidArgument(
            "evaluation.target", wanted.target, "none, because a corruption has no target", do
        )
    require_beatable(wanted.top_k, len(subject.splits.class_names), "evaluation.top_k")
    if kind == "frost":
        require_photos()


def corrupt_subject(
    subject: Subject,
    kind: Corruption,
    accelerator: Accelerator,
    on_progress: Progress | None = None,
) -> EvaluationRecord:
    """Return the record of critical severities of a model under one corruption."""
    config, split, start = subject.config, subject.split, time.perf_counter()
    model = QueriedModel(subject.model.model)
    part = evaluate_corruption(
        model,
        split,
        kind,
        config.seed,
        batch_size=config.evaluation.batch_size,
        criterion=Criterion(config.evaluation.top_k),
        rank=accelerator.process_index,
        count=accelerator.num_processes,
        on_progress=(lambda done: on_progress(done, len(split))) if on_progress else None,
    )
    found: Corrupted = joined(list(gather_object([part])))
    rows = sum(gather_object([model.rows_forward]))
    done = Evaluation(found.results, None, time.perf_counter() - start, 0)
    names = dict(zip(numbers_of(split).tolist(), split.ids, strict=True))
    results = found.results
    return EvaluationRecord(
        norm=kind,
        grid=np.array([0.0, *SEVERITIES]),
        ids=tuple(names[index] for index in results.indices.tolist()),
        labels=results.labels,
        predictions=results.predictions,
        critical=results.critical,
        metadata={
            **describe_evaluation(subject, subject.split, done, [kind], accelerator),
            # No attack of the configuration runs.
            "attack": {"name": kind},
            "mode": "exact",
            "rows": {"forwards": rows, "backwards": 0},
        },
        found_by=tuple(
            CLEAN if critical == 0 else kind if critical <= SEVERITIES[-1] else None
            for critical in results.critical.tolist()
        ),
        forwards=results.forwards,
        backwards=results.backwards,
        attacked_predictions=results.attacked_predictions,
        wrong_at=found.wrong_at,
    )


def corrupt_into(
    subject: Subject,
    kind: Corruption,
    target: Path,
    accelerator: Accelerator,
    overwrite: bool,
    on_progress: Progress | None,
) -> EvaluationRecord:
    """Evaluate under one corruption into a folder of its own; `overwrite` replaces what it holds.

    Raises:
        RunError: the folder holds other files, or another process writes it.
    """
    folder = EvaluationFolder(target)
    folder.require_own()
    with one_writer(target, accelerator):
        if overwrite and accelerator.is_main_process:
            folder.clear()
        record = corrupt_subject(subject, kind, accelerator, on_progress)
        if accelerator.is_main_process:
            save_record(record, folder.path)
        accelerator.wait_for_everyone()
    return record
