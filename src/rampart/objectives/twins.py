"""TWINS: half of each batch is normalized by the pretrained statistics of BatchNorm."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from rampart.deferred import torch
from rampart.errors import InvalidArgument, ModelError
from rampart.logits import is_correct
from rampart.losses import cross_entropy
from rampart.objectives.base import OBJECTIVES, Incomplete, Model, Objective, Perturb, Terms

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rampart.models.running_statistics import RunningStatistics


@OBJECTIVES.register("twins")
@dataclass(frozen=True)
class Twins(Incomplete):
    """TWINS, Liu et al. 2023 (arXiv 2303.11135): λ mean ℓ(f_0(x'), y) + mean ℓ(f(x'), y).

    f_0 and f have the same weights. In the frozen path f_0 every BatchNorm layer normalizes by its
    statistics before training, and updates nothing. In the adaptive path f it works as usual. The
    first half of a batch takes the frozen path, the second half the adaptive one; batches are
    shuffled, so the halves are random. An odd image takes the adaptive path. Each mean is over its
    half, so a batch costs as much as in adversarial training.

    The attack perturbs the whole batch against the adaptive path, which is also the finished
    model: with attack.mode=eval, as published, it normalizes by the adaptive running statistics.
    Without an attack both halves are clean images.

    `correct` is the answer of the path that an image took. The published code trains a second scale
    and shift of each BatchNorm layer for the frozen path; here they are shared, as in the paper.

    Attributes:
        weight: λ, weight of the frozen path; 0.3 by default in the published code, which uses 1 on
            CIFAR and 0.4 on Caltech-256.
    """

    weight: float = 0.3

    needs_batch_norm: ClassVar[bool] = True
    #: Then the adaptive path has two of them. The frozen path computes no statistics.
    least_images: ClassVar[int] = 3

    lacks: ClassVar[str] = (
        "objective=twins has no copy of the pretrained statistics: call "
        "objective = objective.bind(model) before the first step."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.weight < math.inf:
            raise InvalidArgument("weight", self.weight, "a number of at least 0")

    def bind(self, model: nn.Module) -> Objective:
        """Return the objective with a copy of the running statistics of this model.

        Raises:
            ModelError: the model has no BatchNorm, or only with frozen statistics.
        """
        from rampart.models.normalized import NormalizedModel
        from rampart.models.running_statistics import RunningStatistics

        if isinstance(model, NormalizedModel) and model.has_frozen_statistics:
            raise ModelError(
                "objective=twins needs BatchNorm in train mode, and the statistics of this model "
                "are frozen: pass a model on which freeze_statistics() was not called."
            )
        try:
            pretrained = RunningStatistics(model)
        except ModelError as error:
            raise ModelError(
                f"objective=twins keeps the pretrained statistics of BatchNorm: {error} Choose a "
                "backbone with BatchNorm, such as resnet50.a1_in1k, or write objective=adversarial."
            ) from error
        return _TwoPaths(self.label_smoothing, self.weight, pretrained)


@dataclass(frozen=True)
class _TwoPaths(Objective):
    """TWINS with the pretrained statistics."""

    weight: float = 0.0
    pretrained: RunningStatistics | None = field(default=None, repr=False)

    def frozen_copy(self) -> nn.Module | None:
        """Return the statistics before training."""
        return self.pretrained

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample."""
        assert self.pretrained is not None
        points = images if perturb is None else perturb(images, labels, None)
        count, half = len(points), len(points) // 2
        paths = []
        if half:
            with self.pretrained.applied():
                paths.append(model(points[:half]))
        paths.append(model(points[half:]))
        logits = torch.cat(paths)
        losses = cross_entropy(logits, labels, self.label_smoothing)
        # The mean over the batch is the sum of the two means.
        frozen = losses[:half] * (self.weight * count / max(half, 1))
        adaptive = losses[half:] * (count / max(count - half, 1))
        return Terms(torch.cat([frozen, adaptive]), is_correct(logits, labels))
