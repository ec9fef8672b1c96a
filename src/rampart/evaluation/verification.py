"""Verification of a record from its adversarial examples, at one or two forwards per sample.

Balls are nested: an adversarial example at the critical strength proves that the sample is not
robust at any larger strength either. The adversarial examples therefore prove that robust accuracy
is at most what the record says. No image can prove that the other samples are robust.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rampart.attacks.frozen import Model, frozen
from rampart.counting import counted
from rampart.errors import DataError, InvalidArgument
from rampart.evaluation.criterion import in_top_k
from rampart.evaluation.inference import QueriedModel, device_of, logits_of
from rampart.logits import predict
from rampart.metrics.curve import Integers
from rampart.progress.work import watched
from rampart.records.record import EvaluationRecord
from rampart.threat import distance
from rampart.tolerance import same, within
from rampart.units import require_norm

#: A function from names of samples to images (B, C, H, W), pixels in [0, 1], and labels (B,).
ImagesOf = Callable[[Sequence[str]], tuple[Tensor, Tensor]]

LABEL = "different label in the data"
PREDICTION = "different prediction on the clean image"
BOX = "adversarial example outside [0, 1]"
BALL = "adversarial example further from its image than the critical strength"
DISTANCE = "adversarial example at a different distance than recorded"
RIGHT = "adversarial example classified correctly"


@dataclass(frozen=True)
class Failure:
    """A sample that differs from the record.

    Attributes:
        id: name of the sample.
        reason: one of the reasons of this module.
    """

    id: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """The result of verifying a record.

    Attributes:
        n: number of samples.
        adversarial_examples: number of adversarial examples.
        forwards: number of samples passed through the model.
        failures: in the order of the samples; a sample may have several.
    """

    n: int
    adversarial_examples: int
    forwards: int
    failures: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every sample agrees with the record."""
        return not self.failures

    @property
    def counts(self) -> dict[str, int]:
        """How many samples fail for each reason, the most frequent first."""
        return dict(Counter(failure.reason for failure in self.failures).most_common())

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.ok:
            return (
                f"verified: {self.n} predictions and {self.adversarial_examples} adversarial "
                f"examples agree with the record ({self.forwards} forward passes)."
            )
        samples = len({failure.id for failure in self.failures})
        reasons = ", ".join(f"{count} x {reason}" for reason, count in self.counts.items())
        return (
            f"not verified: {samples} of {counted(self.n, 'sample')} differ from the record "
            f"({reasons}); the first is {self.failures[0].id}."
        )

    def figures(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "ok": self.ok,
            "n": self.n,
            "adversarial_examples": self.adversarial_examples,
            "forwards": self.forwards,
            "counts": self.counts,
            "failures": [vars(failure) for failure in self.failures],
        }


def verify_record(
    record: EvaluationRecord,
    model: Model,
    images_of: ImagesOf,
    batch_size: int = 128,
    on_progress: Callable[[int], None] | None = None,
) -> Verification:
    """Check a record against its adversarial examples.

    For every sample, label and clean prediction have to be the recorded ones. Every adversarial
    example has to lie in the pixel box and, up to rounding, in the ball of the critical strength
    around its image, at the recorded distance. It has to be misclassified; in a record of top k,
    the label must not be among the k likeliest classes.

    Args:
        record: loaded with its adversarial examples.
        model: pixels in [0, 1], (N, C, H, W), to logits; runs in eval mode and is restored.
        images_of: returns images and labels of samples by name, a batch at a time.
        batch_size: images per forward pass.
        on_progress: called after each batch with the number of samples done so far.

    Raises:
        InvalidArgument: the record has no adversarial examples or is of a corruption, or the batch
            size is below 1.
        DataError: number or shape of the images differ from those of the adversarial examples.
    """
    require_norm(record.norm, "record", "no attack ran, so there is nothing to verify")
    if record.adversarial_examples is None and record.found.any():
        do = "load it with adversarial_examples=True, or evaluate with adversarial examples"
        raise InvalidArgument(
            "record",
            "a record without adversarial examples",
            "a record with adversarial examples",
            do,
        )
    if batch_size < 1:
        raise InvalidArgument("batch_size", batch_size, "at least 1")
    queried, device, failures = QueriedModel(model), device_of(model), list[Failure]()
    with frozen(model):
        parts = np.split(np.arange(len(record)), range(batch_size, len(record), batch_size))
        for rows in watched(parts, "verifying", len(record), count=len):
            images, labels = images_of([record.ids[row] for row in rows])
            _require_fitting(record, images, labels, len(rows))
            images, labels = images.to(device).float(), labels.to(device)
            failed = [
                *_check_clean(record, queried, rows, images, labels),
                *_check_adversarial_examples(record, queried, rows, images),
            ]
            failures += [Failure(record.ids[row], reason) for row, reason in sorted(failed)]
            if on_progress:
                on_progress(int(rows[-1]) + 1)
    return Verification(len(record), int(record.found.sum()), queried.forwards, tuple(failures))


def _check_clean(
    record: EvaluationRecord, queried: QueriedModel, rows: Integers, images: Tensor, labels: Tensor
) -> Iterator[tuple[int, str]]:
    """Yield (row, reason) for each clean image that differs from the record."""
    logits = logits_of(queried, images)
    recorded = torch.from_numpy(record.labels[rows]).to(labels.device)
    yield from _where(rows, labels != recorded, LABEL)
    predictions = torch.from_numpy(record.predictions[rows]).to(logits.device)
    # In a record of top k the prediction alone does not tell whether the sample is correct.
    right = torch.from_numpy(record.critical[rows] > 0).to(logits.device)
    found = in_top_k(logits, recorded, record.top_k)
    differs = (predict(logits) != predictions) | (found != right)
    yield from _where(rows, differs, PREDICTION)


def _check_adversarial_examples(
    record: EvaluationRecord, queried: QueriedModel, rows: Integers, images: Tensor
) -> Iterator[tuple[int, str]]:
    """Yield (row, reason) for each adversarial example that contradicts the record."""
    found = record.found[rows]
    if record.adversarial_examples is None or not found.any():
        return
    first = int(record.found[: rows[0]].sum())
    rows, images = rows[found], images[torch.from_numpy(found).to(images.device)]
    # Copy, because a record's arrays may be read-only, and torch shares their memory.
    part = np.array(record.adversarial_examples[first : first + len(rows)])
    adversarial_examples = torch.from_numpy(part).to(images.device)
    norm = require_norm(record.norm, "record")
    far = distance(adversarial_examples, images, norm).double().cpu()
    boxed = ((adversarial_examples >= 0) & (adversarial_examples <= 1)).flatten(1).all(1)
    eps = torch.from_numpy(record.grid[record.critical[rows]])
    yield from _where(rows, ~boxed, BOX)
    yield from _where(rows, ~within(far, eps), BALL)
    if record.distance is not None:
        # Without a distance of its own, an example lies on the edge of the ball.
        distances = torch.from_numpy(record.distance[rows])
        yield from _where(rows, ~same(far, distances.where(~distances.isnan(), eps)), DISTANCE)
    labels = torch.from_numpy(record.labels[rows]).to(adversarial_examples.device)
    yield from _where(
        rows, in_top_k(logits_of(queried, adversarial_examples), labels, record.top_k), RIGHT
    )


def _where(rows: Integers, holds: Tensor, reason: str) -> Iterator[tuple[int, str]]:
    for row in rows[holds.cpu().numpy()]:
        yield int(row), reason


def _require_fitting(record: EvaluationRecord, images: Tensor, labels: Tensor, n: int) -> None:
    shape = (
        tuple(images.shape)
        if record.adversarial_examples is None
        else (n, *record.adversarial_examples.shape[1:])
    )
    if tuple(images.shape) != shape or tuple(labels.shape) != (n,):
        raise DataError(
            f"data=images {tuple(images.shape)} with labels {tuple(labels.shape)}: expected images "
            f"{shape}, as in the record; pass the data that were evaluated."
        )
