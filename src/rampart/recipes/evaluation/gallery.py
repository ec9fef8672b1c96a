"""A handful of adversarial examples as pictures, kept beside the record of an evaluation.

A record holds no images unless `evaluation.adversarial_examples` asks for all of them. So after an
evaluation a few of its images are attacked again, at most one of `SHARE` images, which adds at most
that share to its cost. Noise is keyed by the image, so the attack finds the same adversarial
example; where it does not, because the model is random, the image is left out.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rampart.attacks.frozen import frozen
from rampart.checksums import LISTING, list_checksums, with_checksum
from rampart.data.batches import ordered_batches
from rampart.data.subset import having, numbers_of
from rampart.errors import is_out_of_memory
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.critical import critical_strengths
from rampart.evaluation.inference import QueriedModel, logits_of
from rampart.files import checksum, replacing_folder, write_atomic
from rampart.logits import predict
from rampart.metrics.curve import Integers
from rampart.recipes.evaluation.measure import evaluation_attack
from rampart.recipes.evaluation.subject import Subject
from rampart.records.record import EvaluationRecord
from rampart.runs.evaluation_folder import EvaluationFolder
from rampart.runtime import scoped_seed

#: Most images, and the share of the evaluated images that is attacked again.
MOST, SHARE = 8, 16
#: Longest side of a picture in pixels; larger images are reduced.
SIDE = 256


@dataclass(frozen=True, eq=False)
class _Found:
    """Images with their adversarial examples.

    Attributes:
        rows: (K,) rows of the record.
        images, adversarial: (K, C, H, W), pixels in [0, 1], on the CPU.
        cost: forwards, backwards and seconds.
    """

    rows: Integers
    images: Tensor
    adversarial: Tensor
    cost: dict[str, float]


def keep_gallery(subject: Subject, record: EvaluationRecord, folder: EvaluationFolder) -> None:
    """Write the gallery of a record that its folder holds already; a record may have none.

    Raises:
        RunError: the folder cannot be written.
    """
    rows = choose(record)
    if not len(rows) or subject.split.image_shape[0] not in (1, 3):
        return
    try:
        found = _find(subject, record, rows)
    except (MemoryError, RuntimeError) as error:
        # The record is complete; only its pictures are missing.
        if not is_out_of_memory(error):
            raise
        return
    if len(found.rows):
        _save(subject, record, found, folder)


def choose(record: EvaluationRecord) -> Integers:
    """Return (K,) rows of images with an adversarial example, from brittle to robust.

    They are spread over the critical strengths, with as many classes as possible.
    """
    found = np.flatnonzero(record.found)
    kept = record.adversarial_examples is not None
    most = min(MOST, len(found), MOST if kept else len(record) // SHARE)
    if not most:
        return np.zeros(0, np.int64)
    ordered = found[np.argsort(record.critical[found], kind="stable")]
    chosen, used = list[int](), dict[int, int]()
    for part in np.array_split(ordered, most):
        row = min(part.tolist(), key=lambda one: used.get(int(record.labels[one]), 0))
        label = int(record.labels[row])
        used[label] = used.get(label, 0) + 1
        chosen.append(row)
    return np.array(chosen, dtype=np.int64)


def _find(subject: Subject, record: EvaluationRecord, rows: Integers) -> _Found:
    """Return the images of these rows with their adversarial examples."""
    split, start = subject.split, time.perf_counter()
    numbers = dict(zip(split.ids, numbers_of(split).tolist(), strict=True))
    wanted = np.array([numbers[record.ids[row]] for row in rows])
    part = having(split, wanted)
    # `having` keeps the order of the split.
    rows = rows[np.argsort(wanted)]
    (batch,) = ordered_batches(part, len(part))
    images = batch.pixels()
    if record.adversarial_examples is not None:
        place = np.cumsum(record.found) - 1
        adversarial = torch.from_numpy(np.array(record.adversarial_examples[place[rows]]))
        cost = {"forwards": 0, "backwards": 0, "seconds": time.perf_counter() - start}
        return _in_order(_Found(rows, images, adversarial, cost), record)
    config, evaluation = subject.config, subject.config.evaluation
    results = critical_strengths(
        QueriedModel(subject.model.model),
        [batch],
        evaluation_attack(subject),
        record.grid,
        config.seed,
        mode=evaluation.mode,
        batch_size=evaluation.batch_size,
        adversarial_examples=True,
        criterion=Criterion(evaluation.top_k, evaluation.target),
    )
    cost = {
        "forwards": results.forwards_total,
        "backwards": results.backwards_total,
        "seconds": time.perf_counter() - start,
    }
    again = results.critical == record.critical[rows]
    examples = results.adversarial_examples
    if examples is None:
        again[:] = False
        examples = np.zeros((0, *images.shape[1:]), np.float32)
    place = np.cumsum(results.found) - 1
    same = np.flatnonzero(again & results.found)
    adversarial = torch.from_numpy(np.array(examples[place[same]]))
    return _in_order(_Found(rows[same], images[torch.from_numpy(same)], adversarial, cost), record)


def _in_order(found: _Found, record: EvaluationRecord) -> _Found:
    """Return the images from brittle to robust."""
    order = np.argsort(record.critical[found.rows], kind="stable")
    taken = torch.from_numpy(order)
    images, adversarial = found.images[taken], found.adversarial[taken]
    return replace(found, rows=found.rows[order], images=images, adversarial=adversarial)


def _save(
    subject: Subject, record: EvaluationRecord, found: _Found, folder: EvaluationFolder
) -> None:
    answers = [_answers(subject, images) for images in (found.images, found.adversarial)]
    with replacing_folder(folder.gallery) as scratch:
        entries = [
            {
                **_facts(record, int(row), answers, number),
                **_write_pictures(scratch, number, found.images[number], found.adversarial[number]),
            }
            for number, row in enumerate(found.rows)
        ]
        content = {"samples_sha256": checksum(folder.samples), **found.cost, "examples": entries}
        text = json.dumps(with_checksum(content), indent=1, ensure_ascii=False)
        write_atomic(scratch / "gallery.json", text + "\n")
        names = sorted(file.name for file in scratch.iterdir())
        write_atomic(scratch / LISTING, list_checksums(scratch, names))


def _answers(subject: Subject, images: Tensor) -> list[tuple[int, float | None]]:
    """Return the predicted class of each image and its probability, None if it is not finite."""
    model = QueriedModel(subject.model.model)
    with frozen(model), scoped_seed(subject.config.seed, "gallery"):
        logits = logits_of(model, images.to(subject.model.device)).cpu()
    likeliest = logits.double().softmax(1).max(1).values.tolist()
    classes = predict(logits).tolist()
    return [
        (label, value if label >= 0 else None)
        for label, value in zip(classes, likeliest, strict=True)
    ]


def _facts(
    record: EvaluationRecord,
    row: int,
    answers: list[list[tuple[int, float | None]]],
    number: int,
) -> dict[str, Any]:
    (prediction, confidence), (wrong, sure) = (one[number] for one in answers)
    distance = float("nan") if record.distance is None else float(record.distance[row])
    return {
        "id": record.ids[row],
        "label": int(record.labels[row]),
        "prediction": prediction,
        "confidence": confidence,
        "adversarial_prediction": wrong,
        "adversarial_confidence": sure,
        "critical_eps": float(record.grid[record.critical[row]]),
        "distance": None if np.isnan(distance) else distance,
    }


def _write_pictures(
    folder: Path, number: int, image: Tensor, adversarial: Tensor
) -> dict[str, Any]:
    """Write the image, its adversarial example and their difference, magnified around gray."""
    change = (adversarial - image).double().numpy()
    largest = float(np.abs(change).max())
    # A whole number that keeps every pixel of the difference in range.
    magnified = max(1.0, np.floor(0.5 / largest)) if largest else 1.0
    pictures = {
        "image": image.double().numpy(),
        "difference": 0.5 + magnified * change,
        "adversarial": adversarial.double().numpy(),
    }
    names = {}
    for kind, pixels in pictures.items():
        names[kind] = f"{number}-{kind}.png"
        picture_of(pixels).save(folder / names[kind], optimize=True)
    return {"magnified": magnified, "side": max(image.shape[1:]), "files": names}


def picture_of(pixels: NDArray[np.float64]) -> Image.Image:
    """Return pixels (C, H, W) in [0, 1] as a picture of at most `SIDE` pixels a side."""
    values = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))
    longest = max(picture.size)
    if longest <= SIDE:
        return picture
    width, height = (max(1, round(side * SIDE / longest)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)
