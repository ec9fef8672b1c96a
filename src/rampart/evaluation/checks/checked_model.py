"""The input of the model checks: a frozen model, a few images, and their logits."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rampart.attacks.algorithm import Problem
from rampart.attacks.frozen import Model
from rampart.evaluation.inference import QueriedModel, logits_of
from rampart.logits import predict
from rampart.losses import LOSSES
from rampart.runtime import Noise
from rampart.threat import per_sample
from rampart.units import Norm


@dataclass(frozen=True)
class CheckedModel:
    """A model in eval mode with the images for its checks.

    Attributes:
        model: pixels to logits.
        images: (N, C, H, W), pixels in [0, 1].
        labels: (N,).
        norm: norm of the ball.
        eps: the largest strength of the evaluation, fraction of the pixel range.
        noise: one key per sample.
        logits: (N, K) float32, of the images.
    """

    model: Model
    images: Tensor
    labels: Tensor
    norm: Norm
    eps: float
    noise: Noise
    logits: Tensor

    @classmethod
    def of(
        cls, model: Model, images: Tensor, labels: Tensor, norm: Norm, eps: float, seed: int
    ) -> "CheckedModel":
        """Query the model once.

        Raises:
            ModelError: the model does not return logits (N, K).
        """
        logits = logits_of(model, images)
        noise = Noise.like(images, seed).child("trust")
        return cls(model, images, labels, norm, eps, noise, logits)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def predictions(self) -> Tensor:
        """Predicted classes, (N,)."""
        return predict(self.logits)

    @property
    def right(self) -> Tensor:
        """Whether the prediction is the label, (N,) bool."""
        return self.predictions == self.labels

    @property
    def constant(self) -> bool:
        """Whether the logits are the same for every image, up to rounding."""
        apart = (self.logits.amax(0) - self.logits.amin(0)).amax()
        return bool(apart <= 1e-6 * self.logits.abs().amax())

    @property
    def one_class(self) -> bool:
        """Whether the prediction is the same for every image, as in a collapsed network."""
        return bool((self.predictions == self.predictions[0]).all())

    def ask(self, images: Tensor) -> Tensor:
        """Return the (M, K) logits of other images."""
        return logits_of(self.model, images)

    def ask_at_once(self, images: Tensor) -> Tensor:
        """Return the (M, K) logits of other images, computed as one batch."""
        queried = QueriedModel.of(self.model)
        usual, queried.rows = queried.rows, len(images)
        try:
            return logits_of(queried, images)
        finally:
            queried.rows = usual

    def change(self, logits: Tensor, rows: slice = slice(None)) -> float:
        """Return the largest difference from the logits, or from some rows of them.

        It is a multiple of the median range of a sample's logits; infinite if a number is NaN.
        """
        own = self.logits[rows]
        spread = (own.amax(1) - own.amin(1)).median().clamp_min(torch.finfo(own.dtype).tiny)
        return float(((logits - own).abs().amax() / spread).nan_to_num(torch.inf))

    def problem(self, loss: str) -> Problem:
        """Return the problem of leaving the predicted class within eps."""
        eps = per_sample(self.eps, self.images)
        targets, loss_of = self.predictions, LOSSES.get(loss)()
        return Problem(self.model, self.images, targets, eps, self.noise, loss_of, self.norm)

    def select(self, index: Tensor) -> "CheckedModel":
        """Return the model with some of the images; `index` is a mask or a list of positions."""
        return replace(
            self,
            images=self.images[index],
            labels=self.labels[index],
            noise=self.noise.select(index),
            logits=self.logits[index],
        )
