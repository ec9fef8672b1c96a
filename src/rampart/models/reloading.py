"""A check that a model can be saved and loaded again, without writing its weights."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate import init_empty_weights
from torch import Tensor

from rampart.errors import ModelError
from rampart.models.backbones import build_model
from rampart.models.normalized import NormalizedModel
from rampart.models.own import OwnBackbone
from rampart.models.saving import config_text
from rampart.models.weights import misfits
from rampart.restoring import in_mode
from rampart.runtime import scoped_seed

#: Largest number of parameters for which the logits are compared too, in about a second.
SMALL = 30_000_000


def require_reloadable(
    model: NormalizedModel,
    class_names: Sequence[str],
    image_size: int,
    images: Tensor,
    *,
    every_size: bool = False,
) -> None:
    """Refuse a model that `save_model` cannot save or `build_model` cannot restore.

    Args:
        model: the model, which is not changed.
        class_names: one for each logit.
        image_size: side of the images, in pixels.
        images: (N, C, H, W), pixels in [0, 1], to compare the logits; a few are enough.
        every_size: compare the logits of large models too.

    Raises:
        InvalidArgument: not one name for each class.
        ModelError: the model cannot be saved, or its copy would differ.
    """
    text = config_text(model, class_names, image_size)
    if isinstance(model.backbone, OwnBackbone):
        # The user gives the module again; only its weights are loaded.
        return
    small = every_size or sum(p.numel() for p in model.parameters()) <= SMALL
    with TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(text, encoding="utf-8")
        # Only its name is needed.
        Path(folder, "model.safetensors").touch()
        try:
            again = _rebuild(folder, model, image_size, small)
        except ModelError as error:
            raise _explain_difference(model, str(error).replace(folder, "model")) from error
    own, given = model.backbone.state_dict(), again.backbone.state_dict()
    if faults := misfits(given, own):
        raise _explain_difference(model, f"weights that do not fit: {'; '.join(faults)}")
    if small:
        again.backbone.load_state_dict(own)
        _require_same_logits(model, again.to(images.device), images)


def _rebuild(folder: str, model: NormalizedModel, size: int, small: bool) -> NormalizedModel:
    """Build the described model; a large one gets no memory for its weights."""

    def build() -> NormalizedModel:
        return build_model(
            folder,
            num_classes=model.num_classes,
            pretrained=False,
            pretrained_head=True,
            in_chans=model.in_chans,
            image_size=size,
        )

    if small:
        return build()
    try:
        with init_empty_weights():
            return build()
    # Some architectures compute with their weights while they are built.
    except Exception:
        return build()


def _require_same_logits(first: NormalizedModel, second: NormalizedModel, images: Tensor) -> None:
    ours, theirs = (_logits(model, images) for model in (first, second))
    scale = float(ours.abs().nan_to_num().amax().clamp(min=1))
    if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * scale, equal_nan=True):
        raise _explain_difference(first, "other logits with the same weights")


def _logits(model: NormalizedModel, images: Tensor) -> Tensor:
    # The same noise for both models.
    with in_mode(model, training=False), torch.no_grad(), scoped_seed(0, "reloading"):
        logits: Tensor = model(images)
    return logits


def _explain_difference(model: NormalizedModel, how: str) -> ModelError:
    return ModelError(
        f"the saved model would differ when it is loaded again ({how}): the architecture "
        f"'{model.architecture}' has to build the same network from its name, num_classes and the "
        f"arguments {model.model_args}."
    )
