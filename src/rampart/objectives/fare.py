"""FARE: features under attack stay near those of the pretrained backbone."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from rampart.deferred import torch
from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.logits import is_correct
from rampart.losses import FeatureDistance, Loss, squared_distance
from rampart.objectives.adversarial import Adversarial, StandardObjective, Trades
from rampart.objectives.base import OBJECTIVES, Incomplete, Model, Objective, Perturb, Terms
from rampart.objectives.mart import Mart

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rampart.models.normalized import NormalizedModel

Base = Literal["none", "standard", "adversarial", "trades", "mart"]


@OBJECTIVES.register("fare")
@dataclass(frozen=True)
class Fare(Incomplete):
    """FARE, Schlarmann et al. 2024 (arXiv 2402.12336, eq. 3): max over x' of ‖φ(x') − φ_0(x)‖².

    φ are the features that enter the head, φ_0 those of the backbone before training in eval mode.
    With `base="none"` the distance trains the backbone without labels. Cross-entropy at the same
    images x' trains the head, and its gradient does not reach the features. With a base the loss is
    that of the base plus `weight` times the distance, at the images that the base has perturbed;
    the trained model needs no further pass. The base `standard` perturbs no images, so the attack
    then maximizes the distance. Each batch costs one forward pass of the frozen backbone. Without
    an attack x' is x, and the distance still counts.

    With BatchNorm in train mode a part of the distance comes from the two modes: set
    model.batch_norm=frozen.

    Attributes:
        weight: weight of the distance, above 0.
        base: objective that is added to the distance.
        beta: option of the bases "trades" and "mart" (5 in MART's paper).
    """

    anchors: ClassVar[bool] = True

    weight: float = 1.0
    base: Base = "none"
    beta: float = 1.0

    lacks: ClassVar[str] = (
        "objective=fare has no frozen copy of the backbone: call "
        "objective = objective.bind(model) before the first step."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.weight < math.inf:
            raise InvalidArgument("weight", self.weight, "a number above 0")
        if self.base not in get_args(Base):
            raise UnknownName("base", self.base, get_args(Base))
        if self.beta != 1 and self.base not in ("trades", "mart"):
            raise InvalidArgument(
                "beta", self.beta, f"no value with base={self.base}", "set weight, or another base"
            )
        self._base()

    @property
    def chooses_loss(self) -> bool:
        """Whether the attack maximizes the distance or a loss of the base."""
        return self.base in ("none", "standard", "trades")

    @property
    def flat_at_image(self) -> bool:
        """True for the distance, which is 0 before the first step, and for TRADES."""
        return self.chooses_loss

    def bind(self, model: nn.Module) -> Objective:
        """Return the objective with a frozen copy of this model, which needs as much memory again.

        Raises:
            ModelError: not a `NormalizedModel`, or its features cannot be read.
        """
        from rampart.models.normalized import NormalizedModel

        if not isinstance(model, NormalizedModel):
            got = type(model).__name__
            raise ModelError(f"objective=fare needs features: expected NormalizedModel, got {got}.")
        model.require_features()
        reference = copy.deepcopy(model).eval().requires_grad_(False)
        return _Anchored(self.label_smoothing, self, self._base(), reference)

    def _base(self) -> Objective | None:
        match self.base:
            case "none":
                return None
            case "standard":
                return StandardObjective(self.label_smoothing)
            case "adversarial":
                return Adversarial(self.label_smoothing)
            case "trades":
                return Trades(self.label_smoothing, beta=self.beta)
            case "mart":
                return Mart(self.label_smoothing, beta=self.beta)


@dataclass(frozen=True)
class _Anchored(Objective):
    """FARE with its frozen copy."""

    settings: Fare = Fare()
    base: Objective | None = None
    reference: NormalizedModel | None = None

    @property
    def chooses_loss(self) -> bool:
        """That of the settings."""
        return self.settings.chooses_loss

    @property
    def flat_at_image(self) -> bool:
        """That of the settings."""
        return self.settings.flat_at_image

    def frozen_copy(self) -> nn.Module | None:
        """Return the model before training."""
        return self.reference

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample."""
        assert self.reference is not None
        with torch.no_grad():
            _, anchor = self.reference(images, features="joint")
        terms, features = self._fit_labels(model, images, labels, perturb, anchor)
        distance = squared_distance(features, anchor)
        return Terms(terms.loss + self.settings.weight * distance, terms.correct, len(images))

    def _fit_labels(
        self, model: Any, images: Tensor, labels: Tensor, perturb: Perturb | None, anchor: Tensor
    ) -> tuple[Terms, Tensor]:
        """Return the terms of the labels, and the features for the distance."""
        if self.base is None:
            points = perturb(images, anchor, FeatureDistance()) if perturb else images
            logits, features = model(points, features="apart")
            return self._fit(logits, labels), features
        recorder = _FeatureRecorder(model, perturb)
        terms = self.base(recorder, images, labels, recorder.perturb if perturb else None)
        if perturb is None or recorder.points is not None:
            return terms, recorder.features
        points = perturb(images, anchor, FeatureDistance())
        logits, features = model(points, features="joint")
        return replace(terms, correct=is_correct(logits, labels)), features


class _FeatureRecorder:
    """Records the features of the perturbed images, or of the clean ones if there are none."""

    features: Tensor

    def __init__(self, model: Any, perturb: Perturb | None) -> None:
        self.points: Tensor | None = None
        self._model = model
        self._perturb = perturb

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits, and record the features."""
        logits, features = self._model(images, features="joint")
        if self.points is None or images is self.points:
            self.features = features
        return logits

    def perturb(self, images: Tensor, targets: Tensor, loss: Loss | None) -> Tensor:
        """Return the perturbed images, and record them."""
        assert self._perturb is not None
        self.points = self._perturb(images, targets, loss)
        return self.points
