"""Accuracy and loss at one strength: validation while training."""

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
from rampart.runtime import Noise


@dataclass(frozen=True)
class Accuracy:
    """Shares and mean losses over `n` samples.

    Attributes:
        clean: share classified rightly without perturbation.
        robust: share classified rightly without and under the attack; None where none was made.
        clean_loss: mean cross-entropy without perturbation.
        robust_loss: mean cross-entropy on the attacked images; None where none was made.
    """

    n: int
    clean: float
    robust: float | None
    clean_loss: float
    robust_loss: float | None

    def figures(self, prefix: str = "val_") -> dict[str, float]:
        """Return what is known as entries of a history row: val_clean, val_robust and losses."""
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
        model: pixels in [0, 1], (N, C, H, W), to logits; asked in eval mode, left as found.
        batches: this process's part; see `merge_accuracy` for several processes.
        attack: how to attack, in eval mode whatever its own is; at eps = 0 its figures are the
            clean ones.
        eps: fraction of the pixel range.
        seed: noise is keyed by (seed, sample, purpose).
        purpose: what the accuracy is for.

    Raises:
        InvalidArgument: a strength without an attack.
    """
    if attack is None and eps > 0:
        raise InvalidArgument("attack", None, f"an attack to use at eps={eps:g}")
    device, n = device_of(model), 0
    total = torch.zeros(4, dtype=torch.float64, device=device)
    if attack is not None:
        # Made in the mode of training it would be made for another network than the one asked.
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
    """Return the accuracy over all processes from that over each one's part.

    Raises:
        InvalidArgument: no samples at all.
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
    """Sums over a batch: right, loss, right under attack, loss under attack; (4,) float64."""
    images, labels = batch.pixels(), batch.labels
    right, loss = _right_and_loss(model, images, labels)
    sums = [right.sum(), loss.sum()]
    if attack is not None and eps > 0:
        noise = Noise.of(seed, batch.indices, purpose)
        attacked, loss = _right_and_loss(model, attack(model, images, labels, eps, noise), labels)
        right = right & attacked
    return torch.stack([figure.double() for figure in [*sums, right.sum(), loss.sum()]])


def _right_and_loss(model: Model, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits = logits_of(model, images)
    return logits.argmax(1) == labels, cross_entropy(logits, labels, reduction="none")
