"""Training with labels that may be wrong, by external guidance: an adaptation of LAFT."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from rampart.deferred import F, torch
from rampart.devices import rank_and_processes
from rampart.errors import InvalidArgument
from rampart.logits import is_correct
from rampart.losses import full_precision
from rampart.objectives.base import OBJECTIVES, Incomplete, Model, Objective, Perturb, Terms
from rampart.objectives.separation import EASY, HARD, Separation

if TYPE_CHECKING:
    from torch import Tensor, nn


@OBJECTIVES.register("noisy-labels")
@dataclass(frozen=True)
class NoisyLabels(Incomplete):
    """Adversarial training with targets that doubt the labels; our adaptation of LAFT to photos.

    LAFT, Wang et al. 2023 (arXiv 2311.01108), fine-tunes language models with noisy labels. An
    external model separates the training set, and each part has a loss of its own. With y the
    label, g the guidance, p the model's own probabilities at the clean image (without a gradient)
    and w = `trust`, the loss at the perturbed image x' is cross-entropy with the target

        easy clean    y                    the guidance agrees with the label
        hard clean    w y + (1 - w) p      it does not, but the model itself is confident
        truly noisy   w g + (1 - w) p      neither

    `Separation` states both rules. The publication leaves formulas open, and these are our choices:
    guidance from photos, the threshold of confident learning for agreement, the threshold of each
    class from its easy clean images, one weight for both mixtures, and adversarial training. The
    attack maximizes its loss at the likeliest class of the target: moving away from a wrong label
    would help the model. Accuracy, which an adaptive schedule follows, also refers to this class.

    With an attack a step costs one more forward pass, at the clean images in train mode as in
    TRADES. Without one it costs nothing more. With `trust=1` and guidance that agrees with
    every label it equals adversarial training.

    Attributes:
        trust: w, weight of the label or of the guidance against the model itself, in [0, 1].
        guide: where `rampart train` takes the guidance from: "head", the held-out probabilities of
            cross-validated linear heads on features of a pretrained backbone; "neighbors", the
            labels of the nearest images by these features; or a `.csv` with one row of
            probabilities per training image, a column `image` and one column for each class.
        guide_model: the pretrained backbone for the guidance; by default that of the run, before
            fine-tuning.
    """

    trust: float = 0.5
    guide: str = "head"
    guide_model: str = ""

    needs_guidance: ClassVar[bool] = True
    remembers: ClassVar[bool] = True

    lacks: ClassVar[str] = (
        "objective=noisy-labels has no guidance: call "
        "objective = objective.guided(probabilities, labels) before the first step."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.trust <= 1:
            raise InvalidArgument("trust", self.trust, "a number in [0, 1]")
        if self.guide not in GUIDES and not self.guide.endswith(".csv"):
            expected = f"{', '.join(GUIDES)}, or a .csv of probabilities"
            raise InvalidArgument("guide", self.guide, expected)
        if self.guide_model and self.guide not in GUIDES:
            expected = "no backbone with a file of probabilities"
            raise InvalidArgument(
                "guide_model", self.guide_model, expected, "leave one of them out"
            )

    def guided(self, guidance: Tensor, labels: Tensor) -> Objective:
        """Return the objective for training images with this guidance.

        Args:
            guidance: (N, K), probabilities of the classes for all N training images.
            labels: (N,), their given labels.

        Raises:
            InvalidArgument: the guidance does not fit the labels.
        """
        return Guided(self.label_smoothing, self, Separation(guidance, labels))


#: Names of the guidance that is computed from features.
GUIDES = ("head", "neighbors")


@dataclass(frozen=True)
class Guided(Objective):
    """`NoisyLabels` with its guidance; `of_images` says which images a batch holds."""

    settings: NoisyLabels = NoisyLabels()
    separation: Separation | None = None
    indices: Tensor | None = None

    remembers: ClassVar[bool] = True

    def bind(self, model: nn.Module) -> Objective:
        """Refuse several processes, each of which would remember other images.

        Raises:
            InvalidArgument: the training is distributed.
        """
        _, count = rank_and_processes()
        if count > 1:
            got, expected = f"noisy-labels in {count} processes", "one process"
            why = "each would remember what it predicted for other images; train on one GPU"
            raise InvalidArgument("objective", got, expected, why)
        return self

    def of_images(self, indices: Tensor | None) -> Guided:
        """Return the objective for a batch of the images with these numbers.

        Raises:
            InvalidArgument: the numbers are not given.
        """
        if indices is None:
            expected = "the number of each image among the training images, which its guidance has"
            raise InvalidArgument("indices", None, expected)
        return replace(self, indices=indices)

    def finish_epoch(self) -> None:
        """Separate the images anew."""
        assert self.separation is not None
        self.separation.renew()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state of the separation."""
        assert self.separation is not None
        return self.separation.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state of the separation."""
        assert self.separation is not None
        self.separation.load_state_dict(state)

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample, at perturbed images if there is an attack."""
        if perturb is None:
            logits = model(images)
            target = self._target(logits.detach(), labels)
        else:
            with torch.no_grad():
                clean = model(images)
            # Casts of weights that were made without gradients must not be used with them.
            torch.clear_autocast_cache()
            target = self._target(clean, labels)
            logits = model(perturb(images, target.argmax(1), None))
        loss = soft_cross_entropy(logits, target, self.label_smoothing)
        return Terms(loss, is_correct(logits, target.argmax(1)))

    def _target(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the target (N, K) of each image, and record the own probability of its label."""
        separation, indices = self.separation, self.indices
        assert separation is not None
        assert indices is not None, "call of_images first"
        own = full_precision(logits).softmax(1)
        if own.shape[1] != (classes := separation.guidance.shape[1]):
            expected = f"those of the model's {own.shape[1]} logits"
            raise InvalidArgument("guidance", f"{classes} classes", expected)
        separation.to(own.device)
        # A loss without gradients, as in validation, does not count.
        if torch.is_grad_enabled():
            separation.record(indices, own.gather(1, labels[:, None])[:, 0])
        groups, guidance = separation.groups[indices], separation.guidance[indices]
        return targets(groups, labels, guidance, own, self.settings.trust)


def targets(groups: Tensor, labels: Tensor, guidance: Tensor, own: Tensor, trust: float) -> Tensor:
    """Return the (N, K) targets of the three losses; see `NoisyLabels`.

    Args:
        groups: (N,), `EASY`, `HARD` or `NOISY`.
        labels: (N,).
        guidance: (N, K), probabilities.
        own: (N, K), probabilities of the model itself.
        trust: w, in [0, 1].
    """
    groups, label = groups[:, None], F.one_hot(labels, own.shape[1]).to(own)
    outside = torch.where(groups <= HARD, label, guidance.to(own))
    return torch.where(groups == EASY, label, trust * outside + (1 - trust) * own)


def soft_cross_entropy(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the (N,) cross-entropies -sum_k t_k log p_k of targets (N, K)."""
    return F.cross_entropy(
        full_precision(logits), target, reduction="none", label_smoothing=label_smoothing
    )
