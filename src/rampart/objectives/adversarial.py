"""Standard training, adversarial training and TRADES."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from rampart.errors import InvalidArgument, UnknownName
from rampart.logits import is_correct
from rampart.losses import CrossEntropy, Kl, cross_entropy, kl
from rampart.objectives.base import OBJECTIVES, Model, Objective, Perturb, Terms

if TYPE_CHECKING:
    from torch import Tensor

Inner = Literal["kl", "ce"]


@OBJECTIVES.register("standard")
@dataclass(frozen=True)
class StandardObjective(Objective):
    """Cross-entropy at the clean images at every strength: ℓ(f(x), y)."""

    attacks: ClassVar[bool] = False

    def __call__(
        self,
        model: Model,
        images: Tensor,
        labels: Tensor,
        perturb: Perturb | None,
    ) -> Terms:
        """Return the loss of each sample at the clean images."""
        return self._fit(model(images), labels)


@OBJECTIVES.register("adversarial")
@dataclass(frozen=True)
class Adversarial(Objective):
    """Adversarial training, Madry et al. 2018 (arXiv 1706.06083): max over x' of ℓ(f(x'), y).

    The attack maximizes its own loss. Without an attack the objective equals `standard`.
    """

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample, at perturbed images if there is an attack."""
        if perturb is None:
            return self._fit(model(images), labels)
        return self._fit(model(perturb(images, labels, None)), labels)


@OBJECTIVES.register("trades")
@dataclass(frozen=True)
class Trades(Objective):
    """TRADES, Zhang et al. 2019 (arXiv 1901.08573, eq. 5): ℓ(f(x), y) + β max KL(f(x) ‖ f(x')).

    The gradient flows through both arguments of the divergence, as in the published code. Clean
    and perturbed images go through the model in two forwards, as published. BatchNorm therefore
    normalizes each with its own statistics, and both enter the running statistics. Both forwards
    use the given `model`, so distributed training sees them. Without an attack the divergence is 0,
    and the objective equals `standard`.

    Attributes:
        beta: weight of the divergence; 6 in the paper's table on CIFAR-10, 1 in the benchmark of
            robust fine-tuning (arXiv 2508.14079).
        inner: the loss that the attack maximizes: "kl", the divergence as in the paper, or "ce",
            the cross-entropy. With "kl" the attack must not start at the image, where the gradient
            is 0. The published attack is `Pgd(steps=10, start="gaussian", step_rule="absolute",
            step_size=0.007)` at eps = 0.031.
    """

    beta: float = 1.0
    inner: Inner = "kl"

    loss_option: ClassVar[str] = "inner"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta < math.inf:
            raise InvalidArgument("beta", self.beta, "a number of at least 0")
        if self.inner not in get_args(Inner):
            raise UnknownName("inner attack", self.inner, get_args(Inner))

    @property
    def chooses_loss(self) -> bool:
        """True: `inner` is the loss."""
        return True

    @property
    def flat_at_image(self) -> bool:
        """True for "kl", because the divergence has its minimum at the image."""
        return self.inner == "kl"

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample."""
        if perturb is None:
            return self._fit(model(images), labels)
        perturbed = perturb(images, labels, Kl() if self.inner == "kl" else CrossEntropy())
        clean_logits, logits = model(images), model(perturbed)
        clean = cross_entropy(clean_logits, labels, self.label_smoothing)
        loss = clean + self.beta * kl(clean_logits, logits)
        return Terms(loss, is_correct(logits, labels))
