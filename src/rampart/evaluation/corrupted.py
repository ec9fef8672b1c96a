"""Evaluate a model under a common corruption: whether each image is right at every severity."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rampart.attacks.frozen import frozen
from rampart.corruptions.corrupt import corrupt
from rampart.data.batches import Batch, ordered_batches
from rampart.data.splits import Split
from rampart.data.subset import having, numbers_of
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.inference import QueriedModel, device_of, logits_of
from rampart.evaluation.results import Results
from rampart.images_and_labels import fit_labels
from rampart.logits import all_finite, predict
from rampart.metrics.curve import Integers
from rampart.progress.work import watched
from rampart.runtime import derive, scoped_seed
from rampart.units import SEVERITIES, Corruption


@dataclass(frozen=True, eq=False)
class Corrupted:
    """The results of one corruption.

    Attributes:
        results: one row per sample; `critical` is the smallest severity at which it is
            misclassified, 0 without a corruption and 6 if it is right at every severity.
        wrong_at: (N,) the severities at which the sample is misclassified, the sum of 2^severity.
    """

    results: Results
    wrong_at: Integers


def evaluate_corruption(
    model: QueriedModel,
    split: Split,
    kind: Corruption,
    seed: int,
    *,
    batch_size: int = 128,
    criterion: Criterion | None = None,
    rank: int = 0,
    count: int = 1,
    on_progress: Callable[[int], None] | None = None,
) -> Corrupted:
    """Return for each image of a split the severities of a corruption at which it is misclassified.

    The draws are keyed by (seed, image, kind) and shared by the severities, so results do not
    depend on the batch size, the order or the number of processes.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits.
        split: the samples, color images of 32, 64 or 224 pixels a side.
        kind: of the corruption.
        seed: of the draws.
        batch_size: images that are corrupted and classified at once.
        criterion: what counts as misclassified; the prediction is not the label by default.
        rank: the number of this process.
        count: of processes; each evaluates its own part of the images.
        on_progress: called with the number of images that all processes have done.

    Raises:
        InvalidArgument: the corruption is not defined for images of this size.
        MissingExtra: the photos of frost are not installed.
    """
    mine, parts, done = np.sort(numbers_of(split))[rank::count], list[Corrupted](), 0
    batches = ordered_batches(having(split, mine), batch_size) if len(mine) else ()
    shown = watched(batches, kind, len(mine), count=len)
    with frozen(model), scoped_seed(seed, "stochastic model", kind):
        for batch in shown:
            parts.append(_evaluate_batch(model, batch, kind, seed, criterion or Criterion()))
            done += len(batch) * count
            if on_progress:
                on_progress(min(done, len(split)))
    return joined(parts)


def joined(parts: list[Corrupted]) -> Corrupted:
    """Return the results of several parts of the samples as one, in the order of the samples."""
    results = Results.concatenate([Results.empty(), *(part.results for part in parts)])
    wrong_at = np.concatenate([np.zeros(0, np.int64), *(part.wrong_at for part in parts)])
    order = np.argsort(results.indices, kind="stable")
    return Corrupted(results.select(order), wrong_at[order])


def _evaluate_batch(
    model: QueriedModel, batch: Batch, kind: Corruption, seed: int, criterion: Criterion
) -> Corrupted:
    device = device_of(model)
    logits = logits_of(model, batch.to(device).pixels())
    labels = fit_labels(batch.labels.to(device), logits)
    wrong, finite = [~criterion.right(logits, labels)], all_finite(logits)
    predictions = [predict(logits)]
    for images in _corrupted_batches(batch, kind, seed):
        attacked = logits_of(model, images.to(device).float() / 255)
        wrong.append(~criterion.right(attacked, labels))
        predictions.append(predict(attacked))
        finite &= all_finite(attacked)
    table = torch.stack(wrong, 1).cpu().numpy()
    critical = np.where(table.any(1), table.argmax(1), table.shape[1])
    found, n = (critical > 0) & (critical < table.shape[1]), len(batch)
    predicted = torch.stack(predictions, 1).cpu().numpy()
    results = Results(
        indices=batch.indices.numpy(),
        labels=labels.cpu().numpy(),
        predictions=predicted[:, 0],
        attacked_predictions=predicted[np.arange(n), np.where(found, critical, 0)],
        finite=finite.cpu().numpy(),
        critical=critical,
        distance=np.where(found, critical, np.nan),
        stage=np.where(found, 0, -1),
        run=np.where(found, 0, -1),
        forwards=np.full(n, table.shape[1]),
        backwards=np.zeros(n, np.int64),
        pruned=np.zeros(n, np.int64),
        rechecked=np.zeros(n, np.bool_),
        before_recheck=critical,
    )
    return Corrupted(results, (table << np.arange(table.shape[1])).sum(1))


def _corrupted_batches(batch: Batch, kind: Corruption, seed: int) -> Iterator[Tensor]:
    """Yield the images of a batch at each severity, (N, C, H, W) of eight bits."""
    pictures = batch.images.permute(0, 2, 3, 1).numpy()
    for severity in SEVERITIES:
        images = [
            corrupt(picture, kind, severity, _draws(seed, kind, index))
            for picture, index in zip(pictures, batch.indices.tolist(), strict=True)
        ]
        yield torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _draws(seed: int, kind: Corruption, index: int) -> np.random.Generator:
    return np.random.default_rng(derive(seed, "corruption", kind, index))
