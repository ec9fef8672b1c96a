"""Accuracy and loss at one strength, for validation during training."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rampart.attacks.base import Attack
from rampart.attacks.frozen import Model, frozen, local
from rampart.data.batches import Batch
from rampart.errors import InvalidArgument
from rampart.evaluation.inference import QueriedModel, device_of, logits_of
from rampart.images_and_labels import fit_labels
from rampart.logits import is_correct
from rampart.runtime import Noise
from rampart.threat import per_sample


@dataclass(frozen=True)
class Accuracy:
    """Accuracies, as fractions in [0, 1], and mean losses over `n` samples.

    Attributes:
        n: number of samples.
        clean: fraction classified correctly without perturbation.
        robust: fraction of the attacked samples classified correctly both without and under the
            attack; None without an attacked sample.
        clean_loss: mean cross-entropy without perturbation.
        robust_loss: mean cross-entropy on the attacked samples; None without any.
        attacked: number of attacked samples.
        passes: forwards and backwards together.
    """

    n: int
    clean: float
    robust: float | None
    clean_loss: float
    robust_loss: float | None
    attacked: int = 0
    passes: int = 0

    def figures(self, prefix: str = "val_") -> dict[str, float]:
        """Return the figures of a history row that are not None: val_clean, val_robust, losses."""
        return {
            f"{prefix}{name}": value
            for name, value in vars(self).items()
            if name not in ("n", "attacked", "passes") and value is not None
        }


def evaluate_accuracy(
    model: Model,
    batches: Iterable[Batch],
    attack: Attack | None = None,
    eps: float = 0.0,
    seed: int = 0,
    purpose: str = "validation",
    only: Tensor | None = None,
) -> Accuracy:
    """Return clean accuracy and, given an attack, accuracy at one strength.

    Args:
        model: pixels in [0, 1], (N, C, H, W), to logits; runs in eval mode and is restored.
        batches: the samples of this process; see `merge_accuracy` for several processes.
        attack: runs in eval mode, whatever its own mode is; at eps = 0 the robust figures are the
            clean ones.
        eps: fraction of the pixel range.
        seed: noise is keyed by (seed, sample, purpose).
        purpose: keys the noise.
        only: the indices of the samples to attack; all by default. Clean accuracy is of all.

    Raises:
        InvalidArgument: eps is above 0 without an attack.
    """
    if attack is None and eps > 0:
        raise InvalidArgument("attack", None, f"an attack for eps={eps:g}")
    device, n = device_of(model), 0
    total = torch.zeros(5, dtype=torch.float64, device=device)
    if attack is not None:
        # An attack in train mode would attack another network than the one that is measured.
        attack = replace(attack, mode="eval")
    queried = QueriedModel(local(model))
    with frozen(model):
        for batch in batches:
            n += len(batch)
            total += _figures(queried, batch.to(device), attack, eps, seed, purpose, only)
    sums, attacked = total[:4].tolist(), int(total[4])
    clean, clean_loss = (value / n if n else float("nan") for value in sums[:2])
    robust, robust_loss = (value / attacked if attacked else None for value in sums[2:])
    passes = sum(queried.passes)
    return Accuracy(n, clean, robust, clean_loss, robust_loss, attacked, passes)


def accuracy_in_turn(
    model: Model,
    batches: Iterable[Batch],
    attacks: Sequence[Attack],
    eps: float,
    seed: int = 0,
    purpose: str = "validation",
) -> tuple[list[float], int]:
    """Return accuracy under the first attack, under the first two, and so on, and the passes.

    Each attacks only the samples that withstand those before it, so the accuracies never rise. See
    `evaluate_accuracy` for the arguments.
    """
    device, n = device_of(model), 0
    totals = torch.zeros(len(attacks), dtype=torch.int64, device=device)
    queried = QueriedModel(local(model))
    with frozen(model):
        for batch in batches:
            n += len(batch)
            here = batch.to(device)
            images, labels = here.pixels(), here.labels
            noise = Noise.of(seed, here.indices, purpose)
            right, _ = _right_and_loss(queried, images, labels)
            for k, attack in enumerate(attacks):
                # An attack in train mode would attack another network.
                measured = replace(attack, mode="eval")
                before = right.clone()
                right[before], _ = _attacked(
                    queried, images[before], labels[before], measured, eps, noise.select(before)
                )
                totals[k] += right.sum()
    return [count / n for count in totals.tolist()], sum(queried.passes)


def merge_accuracy(parts: Sequence[Accuracy]) -> Accuracy:
    """Return the accuracy over all processes from those of each process.

    Raises:
        InvalidArgument: there are no samples.
    """
    parts = [part for part in parts if part.n]
    n = sum(part.n for part in parts)
    if not n:
        raise InvalidArgument("batches", "no images", "at least one image to evaluate on")

    attacked = sum(part.attacked for part in parts)

    def mean(values: Sequence[float | None]) -> float | None:
        pairs = zip(values, parts, strict=True)
        known = [value * part.attacked for value, part in pairs if value is not None]
        return sum(known) / attacked if attacked else None

    return Accuracy(
        n=n,
        clean=sum(part.clean * part.n for part in parts) / n,
        robust=mean([part.robust for part in parts]),
        clean_loss=sum(part.clean_loss * part.n for part in parts) / n,
        robust_loss=mean([part.robust_loss for part in parts]),
        attacked=attacked,
        passes=sum(part.passes for part in parts),
    )


def _figures(
    model: Model,
    batch: Batch,
    attack: Attack | None,
    eps: float,
    seed: int,
    purpose: str,
    only: Tensor | None,
) -> Tensor:
    """Return sums (5,) float64.

    They are: correct, loss, correct under attack, loss under attack, number of attacked samples.
    """
    images, labels = batch.pixels(), batch.labels
    right, loss = _right_and_loss(model, images, labels)
    sums = [right.sum(), loss.sum()]
    chosen = torch.full_like(right, attack is not None)
    if attack is not None and only is not None:
        chosen = torch.isin(batch.indices, only.to(batch.indices.device))
    right, loss = right[chosen], loss[chosen]
    if attack is not None and eps > 0 and len(right):
        noise = Noise.of(seed, batch.indices, purpose).select(chosen)
        attacked, loss = _attacked(model, images[chosen], labels[chosen], attack, eps, noise)
        right = right & attacked
    sums += [right.sum(), loss.sum(), chosen.sum()]
    return torch.stack([figure.double() for figure in sums])


def _attacked(
    model: Model, images: Tensor, labels: Tensor, attack: Attack, eps: float, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Return which images are right under an attack, and their loss there."""
    if not len(images):
        return torch.zeros_like(labels, dtype=torch.bool), torch.zeros(0, device=labels.device)
    points = attack(model, images, labels, per_sample(eps, images), noise)
    return _right_and_loss(model, points, labels)


def _right_and_loss(model: Model, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits_of(model, images)
    labels = fit_labels(labels, logits)
    return is_correct(logits, labels), cross_entropy(logits, labels, reduction="none")
