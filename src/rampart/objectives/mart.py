"""MART: adversarial training with more weight on misclassified samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.errors import InvalidArgument
from rampart.logits import is_correct
from rampart.losses import boosted_cross_entropy, cross_entropy, kl
from rampart.objectives.base import OBJECTIVES, Model, Objective, Perturb, Terms

if TYPE_CHECKING:
    from torch import Tensor


@OBJECTIVES.register("mart")
@dataclass(frozen=True)
class Mart(Objective):
    """MART, Wang et al. 2020 (ICLR, equation 11): BCE(f(x'), y) + beta KL(f(x) ‖ f(x')) (1 - p_y).

    BCE is cross-entropy boosted by the margin to the likeliest wrong class
    (`rampart.losses.boosted_cross_entropy`). p_y is the clean probability of the true class, so the
    divergence has most weight on images that are misclassified without an attack. The attack
    maximizes its own loss, cross-entropy by default. As in the published code, the gradient flows
    through every factor, and label smoothing applies to the cross-entropy in BCE. Without an attack
    the objective equals `standard`, so a schedule starts from standard fine-tuning.

    Attributes:
        beta: weight of the divergence, called λ in the paper, where it is 5.
    """

    beta: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta < math.inf:
            raise InvalidArgument("beta", self.beta, "a number of at least 0")

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample."""
        if perturb is None:
            return self._fit(model(images), labels)
        perturbed = perturb(images, labels, None)
        clean_logits, logits = model(images), model(perturbed)
        own = cross_entropy(clean_logits, labels)
        divergence = kl(clean_logits, logits) * -(-own).expm1()
        loss = boosted_cross_entropy(logits, labels, self.label_smoothing)
        return Terms(loss + self.beta * divergence, is_correct(logits, labels))
