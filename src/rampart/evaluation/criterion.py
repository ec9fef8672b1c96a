"""What counts as success: misclassification, leaving the top k, or a target class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, get_args

from rampart.attacks.stages import Stage, likely_classes
from rampart.choices import Target
from rampart.deferred import torch
from rampart.errors import InvalidArgument, UnknownName
from rampart.logits import all_finite, is_correct, predict
from rampart.losses import LOSSES, Loss

if TYPE_CHECKING:
    from torch import Tensor

#: The targeted loss for each loss.
_AIMED = {
    "ce": "targeted-ce",
    "dlr": "targeted-dlr",
    "targeted-dlr": "targeted-dlr",
    "margin": "targeted-margin",
    "targeted-margin": "targeted-margin",
}


@dataclass(frozen=True)
class OutOfTopK(Loss):
    """Wraps a loss; success means that the true class is not among the `top_k` likeliest."""

    inner: Loss
    top_k: int

    def fits(self, targets: Tensor) -> bool:
        """Return whether the inner loss accepts these targets."""
        return self.inner.fits(targets)

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the inner loss."""
        return self.inner.value(logits, targets)

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return whether the true class has left the top k."""
        require_beatable(self.top_k, logits.shape[1])
        labels = targets if targets.ndim == 1 else targets[:, 0]
        return ~in_top_k(logits, labels, self.top_k)


@dataclass(frozen=True)
class TargetReached(Loss):
    """Wraps a loss with targets (N, 2); success means that the target class is predicted."""

    inner: Loss
    shape: ClassVar[str] = "integers (N, 2): true class, target class"

    def fits(self, targets: Tensor) -> bool:
        """Return whether the inner loss accepts these targets."""
        return self.inner.fits(targets)

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the inner loss."""
        return self.inner.value(logits, targets)

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return whether the target class is predicted, or the logits are not all finite."""
        return (predict(logits) == targets[:, 1]) | ~all_finite(logits)


@dataclass(frozen=True)
class Criterion:
    """What counts as success for the attacker.

    Attributes:
        top_k: the true class has to leave the `top_k` likeliest; 1 means misclassification.
        target: "none", or the target class by the clean logits: "likely" or "least-likely" among
            the wrong classes. Accuracy is then the fraction of samples that are correct and whose
            prediction does not become the target class.
    """

    top_k: int = 1
    target: Target = "none"

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise InvalidArgument("top_k", self.top_k, "at least 1")
        if self.target not in get_args(Target):
            raise UnknownName("target", self.target, get_args(Target))
        if self.top_k > 1 and self.target != "none":
            raise InvalidArgument("top_k", self.top_k, "1 with a target class")

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) bool: whether clean images count as correct."""
        require_beatable(self.top_k, logits.shape[1])
        return in_top_k(logits, labels, self.top_k)

    def classes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the classes (N, M) that targeted stages try, in order."""
        likely = likely_classes(logits, labels)
        if self.target == "none":
            return likely
        return likely[:, :1] if self.target == "likely" else likely[:, -1:]

    def stages(self, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        """Return the stages with losses that apply this criterion.

        With a target class every stage becomes targeted; untargeted FAB cannot and is left out.
        """
        if self.target != "none":
            aimed = [s for s in stages if s.targets or not s.algorithm.minimum_norm]
            return tuple(replace(s, loss=self._aim_loss(s.loss), targets=1) for s in aimed)
        if self.top_k == 1:
            return stages
        return tuple(replace(stage, loss=OutOfTopK(stage.loss, self.top_k)) for stage in stages)

    def _aim_loss(self, loss: Loss) -> Loss:
        for name, other in _AIMED.items():
            if loss == LOSSES.get(name)():
                return TargetReached(LOSSES.get(other)())
        raise InvalidArgument("loss", type(loss).__name__, "one of " + ", ".join(_AIMED))


def in_top_k(logits: Tensor, labels: Tensor, top_k: int) -> Tensor:
    """Return (N,) bool: whether the label is among the `top_k` likeliest of (N, K).

    Logits that are not all finite count as misclassified.
    """
    if top_k == 1:
        return is_correct(logits, labels)
    likeliest = logits.topk(min(top_k, logits.shape[1]), dim=1).indices
    return torch.any(likeliest == labels[:, None], dim=1) & all_finite(logits)


def require_beatable(top_k: int, num_classes: int, name: str = "top_k") -> None:
    """Raise `InvalidArgument` if every class is in the top k, so that no attack can succeed."""
    if top_k > 1 and top_k >= num_classes:
        raise InvalidArgument(name, top_k, f"fewer than the {num_classes} classes")
