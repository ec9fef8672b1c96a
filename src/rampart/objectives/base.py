"""The contract of an objective: per-sample losses from a model, a batch and an attack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rampart.attacks.base import Attack
from rampart.errors import InvalidArgument, ModelError
from rampart.logits import is_correct
from rampart.losses import Loss, cross_entropy
from rampart.registry import Registry
from rampart.units import Horizon

if TYPE_CHECKING:
    from torch import Tensor, nn

Model = Callable[["Tensor"], "Tensor"]
#: (images, targets, loss) to perturbed images at the current eps; loss None: the attack's own.
Perturb = Callable[["Tensor", "Tensor", "Loss | None"], "Tensor"]

OBJECTIVES: Registry[Objective] = Registry("objective")


@dataclass(frozen=True)
class Terms:
    """The result of an objective on one batch.

    Attributes:
        loss: (N,); training minimizes its mean.
        correct: (N,) bool, which samples are classified correctly at the strength of the step; an
            adaptive schedule follows their fraction.
        forwards: number of samples that went forward through another model than the trained one.
    """

    loss: Tensor
    correct: Tensor
    forwards: int = 0


@dataclass(frozen=True)
class Objective(ABC):
    """A loss that training minimizes.

    Attributes:
        label_smoothing: fraction of the label that is spread over all classes, in [0, 1).
    """

    label_smoothing: float = 0.0

    #: Whether it uses perturbed images.
    attacks: ClassVar[bool] = True
    #: Whether it anchors features of the backbone, so that the backbone must be trained.
    anchors: ClassVar[bool] = False
    #: Whether it needs BatchNorm in train mode.
    needs_batch_norm: ClassVar[bool] = False
    #: Images of a micro-batch that BatchNorm in train mode needs at least.
    least_images: ClassVar[int] = 2
    #: Whether it needs guidance for every training image (see `NoisyLabels.guided`).
    needs_guidance: ClassVar[bool] = False
    #: Whether it remembers what it saw, from one step to the next: then every image of a step has
    #: to be shown to it once, and a checkpoint needs its memory.
    remembers: ClassVar[bool] = False
    #: Name of its option for the loss that the attack maximizes; "" without one.
    loss_option: ClassVar[str] = ""
    #: Name of the strategy that it needs, which adds weights for it; "" without one.
    needs_strategy: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise InvalidArgument("label_smoothing", self.label_smoothing, "a number in [0, 1)")

    @property
    def chooses_loss(self) -> bool:
        """Whether the attack maximizes a loss of the objective instead of its own."""
        return False

    @property
    def flat_at_image(self) -> bool:
        """Whether the loss that the attack maximizes has gradient 0 at the image itself."""
        return False

    @property
    def variants(self) -> tuple[Objective, ...]:
        """The objectives of which each step takes one; by default this one alone."""
        return (self,)

    def draw(self, seed: int, step: int) -> int:
        """Return which of the variants a step takes, the same on every process.

        Args:
            seed: of the run.
            step: number of finished optimizer steps.
        """
        return 0

    def begin_step(self, step: int, horizon: Horizon) -> None:  # noqa: B027  # most need nothing
        """Prepare for an optimizer step; called once before its first micro-batch.

        Args:
            step: number of finished optimizer steps.
            horizon: epochs and steps of the run.
        """

    def check_attack(self, attack: Attack) -> None:
        """Refuse an attack that would never leave the image.

        Raises:
            InvalidArgument: the attack starts at the image, where the gradient is 0.
        """
        if self.flat_at_image and attack.starts_at_image:
            raise InvalidArgument(
                "attack.start",
                "none",
                "a random start, because the loss of the objective has gradient 0 at the image",
                "write attack.start=uniform",
            )

    def bind(self, model: nn.Module) -> Objective:
        """Return the objective for a training that starts from this model.

        Args:
            model: before the first step, on its device; it is not changed.

        Raises:
            ModelError: the objective needs another kind of model.
        """
        return self

    def guided(self, guidance: Tensor, labels: Tensor) -> Objective:
        """Return the objective for training images with this guidance, if it needs any.

        Args:
            guidance: (N, K), probabilities of the classes for all N training images.
            labels: (N,), their given labels.
        """
        return self

    def of_images(self, indices: Tensor | None) -> Objective:
        """Return the objective for a batch; most do not ask which images it holds.

        Args:
            indices: (N,) int64, numbers of the images in the training split; None if unknown.
        """
        return self

    def finish_epoch(self) -> None:  # noqa: B027  # most have no memory
        """Receive the end of an epoch, before its checkpoint."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of what an exact resume needs; nothing by default."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """Restore what `state_dict` returned."""

    def frozen_copy(self) -> nn.Module | None:
        """Return the frozen copy of the model that `bind` has made; None by default."""
        return None

    @abstractmethod
    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Return the loss of each sample.

        Args:
            model: pixels in [0, 1] to logits (N, K); its parameters receive the gradient.
            images: (N, C, H, W), pixels in [0, 1].
            labels: (N,), integers.
            perturb: makes perturbed images; None at eps = 0.
        """

    def _fit(self, logits: Tensor, labels: Tensor) -> Terms:
        """Return the cross-entropy of the logits."""
        loss = cross_entropy(logits, labels, self.label_smoothing)
        return Terms(loss, is_correct(logits, labels))


@dataclass(frozen=True)
class Incomplete(Objective):
    """The settings of an objective that computes a loss only once it has what `lacks` names."""

    #: What is missing and the call that gives it: a sentence for the user.
    lacks: ClassVar[str]

    def __call__(
        self, model: Model, images: Tensor, labels: Tensor, perturb: Perturb | None
    ) -> Terms:
        """Refuse to compute a loss.

        Raises:
            ModelError: always.
        """
        raise ModelError(self.lacks)
