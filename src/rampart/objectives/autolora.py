"""AutoLoRA: clean images train a low-rank branch, perturbed ones the backbone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from rampart.deferred import torch
from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.logits import is_correct
from rampart.losses import cross_entropy, kl
from rampart.objectives.base import OBJECTIVES, Incomplete, Model, Objective, Perturb, Terms
from rampart.units import Horizon

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rampart.models.branch import Branch

Flow = Literal["apart", "published"]


@OBJECTIVES.register("autolora")
@dataclass(frozen=True)
class AutoLora(Incomplete):
    """AutoLoRA, Xu et al. 2024 (arXiv 2310.01818), with weights that follow the clean accuracy.

        l1 ℓ(g(x), y) + (1 - l1) ℓ(f(x'), y) + l2 KL(g(x) ‖ f(x')), l1 = 1 - SA, l2 = scale SA

    f is the network and g the network with the low-rank branch of `strategies=[autolora]`. The
    attack maximizes its own loss on f. SA is the accuracy of g on clean images, so training moves
    from clean to perturbed images by itself. SA starts at chance, and is measured anew `refreshes`
    times an epoch, as evenly as its steps allow; an epoch of fewer steps measures at each of them.
    The published code evaluates the whole training split each time; here SA is that of the training
    batches since the last time, which costs no further pass. With several processes it is that of
    the first. Without an attack x' is x, and the formula stays.

    Gradients of the clean cross-entropy reach the branch and the head. With flow "apart" those of
    the other terms reach the backbone alone. With "published", as in the published code, they
    reach the head too, and those of the divergence also the branch and the head through g(x).

    Attributes:
        scale: l2 at an accuracy of 1; 6 in the paper.
        refreshes: how often an epoch measures SA anew, 1 or more; 4 in the published code.
        flow: "apart" or "published".
    """

    scale: float = 6.0
    refreshes: int = 4
    flow: Flow = "apart"

    needs_strategy: ClassVar[str] = "autolora"
    #: The accuracy of the batches since the last time; it lies in the branch.
    remembers: ClassVar[bool] = True

    lacks: ClassVar[str] = (
        "objective=autolora has no branch: call objective = objective.bind(model) before the "
        "first step."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.scale < math.inf:
            raise InvalidArgument("scale", self.scale, "a number of at least 0")
        if self.refreshes < 1:
            raise InvalidArgument("refreshes", self.refreshes, "a whole number of at least 1")
        if self.flow not in get_args(Flow):
            raise UnknownName("flow", self.flow, get_args(Flow))

    def bind(self, model: nn.Module) -> Objective:
        """Return the objective with the branch of this model.

        Raises:
            ModelError: the model has no branch.
        """
        from rampart.models.branch import Branch

        branch = getattr(model, "branch", None)
        if not isinstance(branch, Branch):
            raise ModelError(
                "objective=autolora needs a model with a branch: call "
                "AutoLoraBranch().prepare(model, seed) from rampart.strategies.autolora first."
            )
        return _Bound(**vars(self), branch=branch)

    def weights(self, accuracy: Tensor) -> tuple[Tensor, Tensor]:
        """Return l1 and l2, (), for the clean accuracy () of the network with the branch."""
        return 1 - accuracy, self.scale * accuracy


@dataclass(frozen=True)
class _Bound(AutoLora):
    """AutoLoRA with the branch of a model."""

    branch: Branch | None = None

    def begin_step(self, step: int, horizon: Horizon) -> None:
        """Measure the clean accuracy anew, if it is time."""
        assert self.branch is not None
        # Step s of S begins period floor(s R / S) of an epoch if the step before was in another.
        place, steps = step % horizon.steps_per_epoch, horizon.steps_per_epoch
        if place * self.refreshes % steps < self.refreshes:
            self.branch.end_period()

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample."""
        assert self.branch is not None
        published = self.flow == "published"
        points = images if perturb is None else perturb(images, labels, None)
        with self.branch.taken():
            clean_logits = model(images)
        with self.branch.left(with_head=published):
            logits = model(points)
        l1, l2 = self.weights(self.branch.accuracy)
        clean = cross_entropy(clean_logits, labels, self.label_smoothing)
        perturbed = cross_entropy(logits, labels, self.label_smoothing)
        divergence = kl(clean_logits if published else clean_logits.detach(), logits)
        if torch.is_grad_enabled():
            self.branch.count(is_correct(clean_logits, labels))
        loss = l1 * clean + (1 - l1) * perturbed + l2 * divergence
        return Terms(loss, is_correct(logits, labels))
