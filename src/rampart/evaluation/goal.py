"""When an attack has won: another class than the true one, out of the top k, or a chosen class."""

from dataclasses import dataclass, replace
from typing import ClassVar, get_args

import torch
from torch import Tensor

from rampart.attacks.stages import Stage, likely_classes
from rampart.choices import Reach
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
class OutOfTop(Loss):
    """Another loss, won only where the true class is not among the `top` likeliest."""

    inner: Loss
    top: int

    def fits(self, targets: Tensor) -> bool:
        """Whether the inner loss takes these targets."""
        return self.inner.fits(targets)

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the inner loss."""
        return self.inner.value(logits, targets)

    def is_adv(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return whether the true class is out of the top."""
        labels = targets if targets.ndim == 1 else targets[:, 0]
        return ~in_top(logits, labels, self.top)


@dataclass(frozen=True)
class Reached(Loss):
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
class Goal:
    """What the adversary wants.

    Attributes:
        top: the true class has to leave the `top` likeliest ones; 1 is an ordinary error.
        reach: "none", or which wrong class the prediction has to become, by the clean logits.
            Accuracy is then the share of samples that are right and cannot be moved there.
    """

    top: int = 1
    reach: Reach = "none"

    def __post_init__(self) -> None:
        if self.top < 1:
            raise InvalidArgument("top", self.top, "at least 1")
        if self.reach not in get_args(Reach):
            raise UnknownName("reach", self.reach, get_args(Reach))
        if self.top > 1 and self.reach != "none":
            raise InvalidArgument("top", self.top, "1 where a class is to be reached")

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) whether clean images count as right."""
        return in_top(logits, labels, self.top)

    def classes(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N, M): the classes that targeted stages try, in order."""
        likely = likely_classes(logits, labels)
        if self.reach == "none":
            return likely
        return likely[:, :1] if self.reach == "likely" else likely[:, -1:]

    def stages(self, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        """Return the stages with losses that are won when this goal is reached.

        With a class to reach every stage aims at it; untargeted FAB, which cannot, is left out.
        """
        if self.reach != "none":
            aimed = [s for s in stages if s.targets or not s.algorithm.minimum_norm]
            return tuple(replace(s, loss=self._aimed(s.loss), targets=1) for s in aimed)
        if self.top == 1:
            return stages
        return tuple(replace(stage, loss=OutOfTop(stage.loss, self.top)) for stage in stages)

    def _aimed(self, loss: Loss) -> Loss:
        for name, other in _AIMED.items():
            if loss == LOSSES.get(name)():
                return Reached(LOSSES.get(other)())
        raise InvalidArgument("loss", type(loss).__name__, "one of " + ", ".join(_AIMED))


def in_top(logits: Tensor, labels: Tensor, top: int) -> Tensor:
    """Return (N,) whether the label is among the `top` likeliest of (N, K); ties by argmax."""
    if top == 1:
        return logits.argmax(1) == labels
    require_beatable(top, logits.shape[1])
    likeliest = logits.topk(top, dim=1).indices
    return torch.any(likeliest == labels[:, None], dim=1)


def require_beatable(top: int, classes: int, name: str = "top") -> None:
    """Raise `InvalidArgument` where every class is among the top ones, so that nothing can fail."""
    if top > 1 and top >= classes:
        raise InvalidArgument(name, top, f"fewer than the {classes} classes")
