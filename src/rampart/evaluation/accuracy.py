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
        robust: fraction classified correctly both without and under the attack; None without an
            attack.
        clean_loss: mean cross-entropy without perturbation.
        robust_loss: mean cross-entropy on the attacked images; None without an attack.
    """

    n: int
    clean: float
    robust: float | None
    clean_loss: float
    robust_loss: float | None

    def figures(self, prefix: str = "val_") -> dict[str, float]:
        """Return the figures of a history row that are not None: val_clean, val_robust, losses."""
        return {
            f"{prefix}{name}": value
            for name, value in vars(self).items()
            if name != "n" and value is not None
        }


def evaluate_accuracy(
    model: Model,
    batches: Iterable[Batch],
    attack: Attack | None = None,
    eps: float = 0.0,
    seed: int = 0,
    purpose: str = "validation",
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

    Raises:
        InvalidArgument: eps is above 0 without an attack.
    """
    if attack is None and eps > 0:
        raise InvalidArgument("attack", None, f"an attack for eps={eps:g}")
    device, n = device_of(model), 0
    total = torch.zeros(4, dtype=torch.float64, device=device)
    if attack is not None:
        # An attack in train mode would attack another network than the one that is measured.
        attack = replace(attack, mode="eval")
    queried = QueriedModel(local(model))
    with frozen(model):
        for batch in batches:
            n += len(batch)
            total += _figures(queried, batch.to(device), attack, eps, seed, purpose)
    clean, clean_loss, robust, robust_loss = (total / n).tolist() if n else [float("nan")] * 4
    if attack is None:
        return Accuracy(n, clean, None, clean_loss, None)
    return Accuracy(n, clean, robust, clean_loss, robust_loss)


def merge_accuracy(parts: Sequence[Accuracy]) -> Accuracy:
    """Return the accuracy over all processes from those of each process.

    Raises:
        InvalidArgument: there are no samples.
    """
    parts = [part for part in parts if part.n]
    n = sum(part.n for part in parts)
    if not n:
        raise InvalidArgument("batches", "no images", "at least one image to evaluate on")

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        if len(known) < len(parts):
            return None
        return sum(value * part.n for value, part in zip(known, parts, strict=True)) / n

    return Accuracy(
        n=n,
        clean=sum(part.clean * part.n for part in parts) / n,
        robust=mean([part.robust for part in parts]),
        clean_loss=sum(part.clean_loss * part.n for part in parts) / n,
        robust_loss=mean([part.robust_loss for part in parts]),
    )


def _figures(
    model: Model, batch: Batch, attack: Attack | None, eps: float, seed: int, purpose: str
) -> Tensor:
    """Return sums (4,) float64: correct, loss, correct under attack, loss under attack."""
    images, labels = batch.pixels(), batch.labels
    right, loss = _right_and_loss(model, images, labels)
    sums = [right.sum(), loss.sum()]
    if attack is not None and eps > 0:
        noise = Noise.of(seed, batch.indices, purpose)
        points = attack(model, images, labels, per_sample(eps, images), noise)
        attacked, loss = _right_and_loss(model, points, labels)
        right = right & attacked
    return torch.stack([figure.double() for figure in [*sums, right.sum(), loss.sum()]])


def _right_and_loss(model: Model, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits_of(model, images)
    labels = fit_labels(labels, logits)
    return is_correct(logits, labels), cross_entropy(logits, labels, reduction="none")
