"""A classifier of pixels in [0, 1]; the normalization is part of the model."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rampart.compiling import eagerly
from rampart.counting import counted
from rampart.errors import InvalidArgument, ModelError
from rampart.restoring import in_mode

Features = Literal["joint", "apart"]


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """Return the BatchNorm layers of a model, of any number of dimensions."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def require_pixels(model: object, mean: Sequence[float] | None) -> None:
    """Refuse a bare network of timm without a mean, because it expects normalized images.

    Raises:
        InvalidArgument: the error names the mean and std of the network.
    """
    cfg = getattr(model, "pretrained_cfg", None)
    if mean is not None or not isinstance(cfg, Mapping) or "mean" not in cfg:
        return
    own = f"mean={tuple(cfg['mean'])}, std={tuple(cfg['std'])}"
    raise InvalidArgument(
        "mean",
        None,
        "mean and std, because a model of timm takes normalized images",
        f"write {own} as in its pretraining, or mean=(0, 0, 0), std=(1, 1, 1) if it was trained "
        "on pixels in [0, 1]",
    )


def refuse_second_mean(model: nn.Module, mean: Sequence[float]) -> None:
    """Refuse a mean for a model that normalizes its images already.

    Raises:
        InvalidArgument: a `NormalizedModel`, or a model that contains one.
    """
    if any(isinstance(part, NormalizedModel) for part in model.modules()):
        raise InvalidArgument(
            "mean",
            list(mean),
            "no mean, because the model normalizes its images itself",
            "leave out mean and std",
        )


class NormalizedModel(nn.Module):
    """logits = backbone((images - mean) / std), so attacks work on pixels in [0, 1].

    Args:
        backbone: a timm classifier.
        mean: of each channel, in [0, 1]; length C.
        std: of each channel, above 0; length C.
        image_size: side of the expected images, in pixels.
        model_args: arguments by which timm rebuilds the backbone, without the number of classes.
        architecture: timm's name of the architecture, for a backbone that does not have it.

    Attributes:
        backbone: the timm classifier.
        mean, std: buffers, (1, C, 1, 1).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        image_size: int,
        model_args: Mapping[str, Any] | None = None,
        architecture: str = "",
    ) -> None:
        super().__init__()
        self._frozen_statistics = False
        if len(mean) != len(std):
            raise InvalidArgument(
                "std", list(std), f"{counted(len(mean), 'value')}, as many as mean has"
            )
        if not all(value > 0 for value in std):
            raise InvalidArgument("std", list(std), "values above 0")
        self.backbone = backbone
        self.image_size = image_size
        self.model_args = dict(model_args or {})
        self.architecture = architecture
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def freeze_statistics(self) -> None:
        """Let BatchNorm use its running statistics in train mode too, and no longer update them.

        Raises:
            ModelError: the model has no BatchNorm.
        """
        if not batch_norms(self):
            raise ModelError("the model has no BatchNorm: leave out model.batch_norm=frozen.")
        self._frozen_statistics = True
        self.train(self.training)

    @property
    def has_frozen_statistics(self) -> bool:
        """Whether `freeze_statistics` was called."""
        return self._frozen_statistics

    def checkpoint_gradients(self) -> None:
        """Compute activations anew in the backward pass, instead of keeping them in memory.

        Raises:
            ModelError: the backbone cannot do so.
        """
        enable: Any = getattr(self.backbone, "set_grad_checkpointing", None)
        try:
            # timm's architectures without checkpoints fail an assertion.
            assert enable is not None
            enable(True)
        except AssertionError:
            raise ModelError(
                f"{self.architecture or type(self.backbone).__name__} has no gradient checkpoints: "
                "leave out training.gradient_checkpointing, or save memory by "
                "training.gradient_accumulation_steps."
            ) from None

    def train(self, mode: bool = True) -> Self:
        """Set the mode; BatchNorm with frozen statistics stays in eval mode."""
        super().train(mode)
        if self._frozen_statistics:
            for module in batch_norms(self):
                module.eval()
        return self

    def forward(self, images: Tensor, features: Features | None = None) -> Any:
        """Return logits (N, classes) of images (N, C, H, W), pixels in [0, 1].

        Args:
            images: (N, C, H, W), pixels in [0, 1].
            features: "joint" returns (logits, features (N, D)), where the features are the inputs
                of the head; "apart" does too, but no gradient of the logits reaches them.
        """
        normalized = (images - self.mean) / self.std
        if features is None:
            return self.backbone(normalized)
        maps = self.backbone.forward_features(normalized)  # type: ignore[operator]  # timm's
        seen = self.backbone.forward_head(maps, pre_logits=True)  # type: ignore[operator]  # timm's
        head = self.backbone.get_classifier()  # type: ignore[operator]  # timm's interface
        return head(seen.detach() if features == "apart" else seen), seen

    def require_features(self) -> None:
        """Refuse a backbone whose logits are not one head applied to its features.

        Raises:
            ModelError: for example, the backbone has two heads.
        """
        size = self.image_size
        images = torch.zeros(1, self.in_chans, size, size, device=self.mean.device)
        try:
            with eagerly(self), in_mode(self, training=False), torch.no_grad():
                logits, seen = self(images, features="joint")
                same = seen.ndim == 2 and torch.allclose(logits, self(images), atol=1e-4)
        # The code of an architecture may raise any error.
        except Exception as error:
            raise ModelError(f"the features of this backbone cannot be read ({error}).") from error
        if not same:
            raise ModelError(
                "the logits of this backbone are not one head applied to its features (N, D): use "
                "another model or another objective."
            )

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters without weight decay, such as position embeddings.

        The method is timm's convention; timm's optimizers call it.
        """
        names: set[str] = getattr(self.backbone, "no_weight_decay", set)()
        return {f"backbone.{name}" for name in names}

    @property
    def in_chans(self) -> int:
        """Number of channels of the images."""
        return self.mean.shape[1]

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return int(self.backbone.num_classes)  # type: ignore[arg-type]  # timm's attribute, an int
