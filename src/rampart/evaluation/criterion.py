"""When an attack has won: another class than the true one, out of the top k, or a chosen class."""

from dataclasses import dataclass, replace
from typing import ClassVar, get_args

import torch
from torch import Tensor

from rampart.attacks.stages import Stage, likely_classes
from rampart.choices import Target
from rampart.errors import InvalidArgument, UnknownName
from rampart.losses import LOSSES, Loss

#: The loss that aims at one class in place of each loss that aims at none.
_AIMED = {
    "ce": "targeted-ce",
    "dlr": "targeted-dlr",
    "targeted-dlr": "targeted-dlr",
    "margin": "targeted-margin",
    "targeted-margin": "targeted-margin",
}


@dataclass(frozen=True)
class OutOfTopK(Loss):
    """Another loss, won only where the true class is not among the `top_k` likeliest."""

    inner: Loss
    top_k: int

    def fits(self, targets: Tensor) -> bool:
        """Whether the inner loss takes these targets."""
        return self.inner.fits(targets)

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the inner loss."""
        return self.inner.value(logits, targets)

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return whether the true class is out of the top."""
        labels = targets if targets.ndim == 1 else targets[:, 0]
        return ~in_top_k(logits, labels, self.top_k)


@dataclass(frozen=True)
class TargetReached(Loss):
    """Another loss with targets (N, 2), won only where the prediction is the class to reach."""

    inner: Loss
    shape: ClassVar[str] = "whole numbers (N, 2): true class, class to reach"

    def fits(self, targets: Tensor) -> bool:
        """Whether the inner loss takes these targets."""
        return self.inner.fits(targets)

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the inner loss."""
        return self.inner.value(logits, targets)

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return whether the class is reached."""
        return logits.argmax(1) == targets[:, 1]


@dataclass(frozen=True)
class Criterion:
    """What the adversary wants.

    Attributes:
        top_k: the true class has to leave the `top_k` likeliest ones; 1 is an ordinary error.
        target: "none", or which wrong class the prediction has to become, by the clean logits.
            Accuracy is then the fraction of samples that are right and cannot be moved there.
    """

    top_k: int = 1
    target: Target = "none"

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise InvalidArgument("top_k", self.top_k, "at least 1")
        if self.target not in get_args(Target):
            raise UnknownName("target", self.target, get_args(Target))
        if self.top_k > 1 and self.target != "none":
            raise InvalidArgument("top_k", self.top_k, "1 where a class is to be reached")

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) whether clean images count as right."""
        return in_top_k(logits, labels, self.top_k)

    def classes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N, M): the classes that targeted stages try, in order."""
        likely = likely_classes(logits, labels)
        if self.target == "none":
            return likely
        return likely[:, :1] if self.target == "likely" else likely[:, -1:]

    def stages(self, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        """Return the stages with losses that are won when this criterion is reached.

        With a class to reach every stage aims at it; untargeted FAB, which cannot, is left out.
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
    """Return (N,) whether the label is among the `top_k` likeliest of (N, K); ties by argmax."""
    if top_k == 1:
        return logits.argmax(1) == labels
    require_beatable(top_k, logits.shape[1])
    likeliest = logits.topk(top_k, dim=1).indices
    return torch.any(likeliest == labels[:, None], dim=1)


def require_beatable(top_k: int, num_classes: int, name: str = "top_k") -> None:
    """Raise `InvalidArgument` where every class is among the top ones, so that nothing can fail."""
    if top_k > 1 and top_k >= num_classes:
        raise InvalidArgument(name, top_k, f"fewer than the {num_classes} classes")
