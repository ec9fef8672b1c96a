"""FARE: features under attack are held to those of the pretrained backbone."""

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.losses import FeatureDistance, Loss, squared_distance
from rampart.models.normalized import NormalizedModel
from rampart.objectives.adversarial import Adversarial, StandardObjective, Trades
from rampart.objectives.base import OBJECTIVES, Model, Objective, Perturb, Terms, is_correct
from rampart.objectives.mart import Mart

Base = Literal["none", "standard", "adversarial", "trades", "mart"]


@OBJECTIVES.register("fare")
@dataclass(frozen=True)
class Fare(Objective):
    """FARE, Schlarmann et al. 2024 (arXiv 2402.12336, eq. 3): max over x' of ‖φ(x') − φ_0(x)‖².

    φ are the features that the head sees, φ_0 those of the backbone before training, in eval mode.
    Alone (`base="none"`) the distance trains the backbone, without a label, and cross-entropy at
    the same images x' trains the head, whose gradient does not reach the features. With a base the
    loss is that of the base plus `weight` times the distance, at the images that the base has
    perturbed, at no further pass of the model in training; `standard` perturbs none, so that there
    the attack maximizes the distance. Each batch costs one forward pass of the frozen backbone.
    Without an attack x' is x: the anchor holds in an epoch at eps = 0 too.

    Where the model in training normalizes by the statistics of the batch (BatchNorm in train mode),
    part of the distance is the difference of the modes: set model.batch_norm=frozen.

    Attributes:
        weight: of the distance, above 0.
        base: what is minimized beside it.
        beta: of the base "trades" or "mart" (MART's paper has 5); no other has one.
    """

    anchors: ClassVar[bool] = True

    weight: float = 1.0
    base: Base = "none"
    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.weight < math.inf:
            raise InvalidArgument("weight", self.weight, "a number above 0")
        if self.base not in get_args(Base):
            raise UnknownName("base", self.base, get_args(Base))
        if self.beta != 1 and self.base not in ("trades", "mart"):
            raise InvalidArgument(
                "beta", self.beta, f"none with base={self.base}", "set weight, or another base"
            )
        self._base()

    @property
    def chooses_loss(self) -> bool:
        """Whether the attack maximizes the distance, or what the base chooses."""
        return self.base in ("none", "standard", "trades")

    @property
    def flat_at_image(self) -> bool:
        """Where the features are still those of the frozen copy, and with TRADES."""
        return self.chooses_loss

    def bind(self, model: nn.Module) -> Objective:
        """Return the objective with a frozen copy of this model, which takes its memory once more.

        Raises:
            ModelError: not a `NormalizedModel`, or one whose features cannot be read.
        """
        if not isinstance(model, NormalizedModel):
            got = type(model).__name__
            raise ModelError(f"objective=fare reads features: expected NormalizedModel, got {got}.")
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

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Refuse: there is no frozen copy yet.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            "objective=fare has no frozen copy of the backbone to hold features to: call "
            "objective.bind(model) before the first step, and use what it returns."
        )


@dataclass(frozen=True)
class _Anchored(Objective):
    """FARE with its frozen copy."""

    settings: Fare = Fare()
    base: Objective | None = None
    reference: NormalizedModel | None = None

    @property
    def chooses_loss(self) -> bool:
        """As said of the settings."""
        return self.settings.chooses_loss

    @property
    def flat_at_image(self) -> bool:
        """As said of the settings."""
        return self.settings.flat_at_image

    def frozen_copy(self) -> nn.Module | None:
        """Return the backbone before training."""
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
        """What the labels ask for, and the features that are to be held."""
        if self.base is None:
            points = perturb(images, anchor, FeatureDistance()) if perturb else images
            logits, features = model(points, features="apart")
            return self._fit(logits, labels), features
        seen = _Watched(model, perturb)
        terms = self.base(seen, images, labels, seen.perturb if perturb else None)
        if perturb is None or seen.points is not None:
            return terms, seen.features
        points = perturb(images, anchor, FeatureDistance())
        logits, features = model(points, features="joint")
        return replace(terms, correct=is_correct(logits, labels)), features


class _Watched:
    """A model that keeps the features of the perturbed images; of the clean ones if none are."""

    features: Tensor

    def __init__(self, model: Any, perturb: Perturb | None) -> None:
        self.points: Tensor | None = None
        self._model = model
        self._perturb = perturb

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits, features = self._model(images, features="joint")
        if self.points is None or images is self.points:
            self.features = features
        return logits

    def perturb(self, images: Tensor, targets: Tensor, loss: Loss | None) -> Tensor:
        """Return the perturbed images, and remember them."""
        assert self._perturb is not None
        self.points = self._perturb(images, targets, loss)
        return self.points
