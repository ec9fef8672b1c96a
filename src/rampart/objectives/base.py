"""The contract of an objective: model, batch and a way to perturb it, to per-sample losses."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from rampart.attacks.base import Attack
from rampart.errors import InvalidArgument
from rampart.losses import Loss, cross_entropy
from rampart.registry import Registry

Model = Callable[[Tensor], Tensor]
#: (images, targets, loss or None for the attack's own) to perturbed images, at the current eps.
Perturb = Callable[[Tensor, Tensor, Loss | None], Tensor]

OBJECTIVES: "Registry[Objective]" = Registry("objective")


@dataclass(frozen=True)
class Terms:
    """What an objective comes to on one batch.

    Attributes:
        loss: (N,), to be averaged and minimized.
        correct: (N,) bool, which samples are classified correctly at the strength that they are
            trained with; an adaptive schedule follows their share.
        forwards: samples that went forward through a model other than the one in training.
    """

    loss: Tensor
    correct: Tensor
    forwards: int = 0


@dataclass(frozen=True)
class Objective(ABC):
    """What training minimizes.

    Attributes:
        label_smoothing: fraction s of the label spread over all classes, in [0, 1).
    """

    label_smoothing: float = 0.0

    #: Whether it looks at perturbed images.
    attacks: ClassVar[bool] = True
    #: Whether it holds features of the backbone, so that the backbone must be in training.
    anchors: ClassVar[bool] = False
    #: Its option that says what the attack maximizes, where it has one.
    loss_option: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise InvalidArgument("label_smoothing", self.label_smoothing, "a number in [0, 1)")

    @property
    def chooses_loss(self) -> bool:
        """Whether it tells the attack what to maximize, in place of the attack's own loss."""
        return False

    @property
    def flat_at_image(self) -> bool:
        """Whether what it has the attack maximize has no gradient at the image itself."""
        return False

    def check_attack(self, attack: Attack) -> None:
        """Refuse an attack that would stay where it starts.

        Raises:
            InvalidArgument: as said.
        """
        if self.flat_at_image and attack.starts_at_image:
            raise InvalidArgument(
                "attack.start",
                "none",
                "a start beside the image, where what the objective attacks has no gradient",
                "write attack.start=uniform",
            )

    def bind(self, model: nn.Module) -> "Objective":
        """Return the objective for a training that starts from this model.

        Args:
            model: as it is before the first step, in its place on the device; left as found.

        Raises:
            ModelError: the model is not of the kind that the objective needs.
        """
        return self

    def frozen_copy(self) -> nn.Module | None:
        """Return the model that `bind` has put aside, which no step changes; most have none."""
        return None

    @abstractmethod
    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample.

        Args:
            model: pixels in [0, 1] to logits (N, K); its parameters receive the gradient.
            images: (N, C, H, W), pixels in [0, 1].
            labels: (N,), whole numbers.
            perturb: makes perturbed images; None where eps = 0 and nothing is attacked.
        """

    def _fit(self, logits: Tensor, labels: Tensor) -> Terms:
        """Cross-entropy of the logits."""
        loss = cross_entropy(logits, labels, self.label_smoothing)
        return Terms(loss, is_correct(logits, labels))


def is_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Return which samples are classified correctly, (N,) bool."""
    return logits.detach().argmax(1) == labels
