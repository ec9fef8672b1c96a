"""A module given by the user instead of a backbone named in the configuration."""

import copy
from collections.abc import Mapping, Sequence

import timm
import torch
from torch import Tensor, nn

from rampart.counting import counted
from rampart.errors import InvalidArgument, ModelError, reason
from rampart.guarded import require_weights
from rampart.models.external.loaded import Wanted
from rampart.models.external.trial import Size
from rampart.models.normalized import NormalizedModel, refuse_second_mean, require_pixels
from rampart.models.own import OwnBackbone
from rampart.models.reloading import require_reloadable


def own_model(
    module: nn.Module,
    *,
    num_classes: int,
    input_size: Size,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> NormalizedModel:
    """Return a copy of a module on the CPU as a classifier of pixels in [0, 1], and test it.

    The backbone is the copy itself if timm can build the same network, otherwise an `OwnBackbone`.

    Args:
        module: pixels in [0, 1] to logits; with mean and std, normalized images to logits.
        num_classes: K, the required number of logits.
        input_size: (C, H, W) of the images.
        mean: of each channel.
        std: of each channel, likewise.

    Raises:
        ModelError: the module cannot be copied or saved, or does not return K logits.
        InvalidArgument: a bare network of timm without mean and std, or only one of the two.
    """
    require_pixels(module, mean)
    channels, side, _ = input_size
    # Checks that mean and std come together.
    Wanted(num_classes, side, channels, mean, std)
    copied = _copy_module(module)
    if isinstance(copied, NormalizedModel):
        if mean is not None:
            refuse_second_mean(copied, mean)
        model = copied
    else:
        means, stds = mean or [0.0] * channels, std or [1.0] * channels
        if len(means) != channels:
            raise InvalidArgument(
                "mean", list(means), f"{counted(channels, 'value')}, one for each channel"
            )
        model = NormalizedModel(copied, means, stds, side, _arguments(copied, input_size))
    if not _timm_builds_same(model, num_classes, side):
        model.backbone = OwnBackbone(model.backbone, num_classes)
    name = type(module).__qualname__
    # The normalization is part of the model now.
    plain = Wanted(num_classes, side, channels)
    plain.examine(model, name=name, source="module", fingerprint=None, own_size=input_size)
    return model.train()


def _copy_module(module: nn.Module) -> nn.Module:
    name = type(module).__qualname__
    require_weights(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"module {name} is a TorchScript program, which cannot be trained here: pass the "
            "module from which it was made, with the program's state_dict()."
        )
    try:
        copied = copy.deepcopy(module).cpu()
    # A module may hold anything.
    except Exception as error:
        raise ModelError(f"module {name} cannot be copied ({reason(error)}).") from error
    state = copied.state_dict()
    other = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if other:
        raise ModelError(
            f"module {name} cannot be saved: '{other[0]}' in its state_dict is not a tensor."
        )
    return copied


def _arguments(module: nn.Module, size: Size) -> dict[str, int]:
    """Return the arguments with which timm would build the same network."""
    cfg = getattr(module, "pretrained_cfg", None)
    fixed = isinstance(cfg, Mapping) and cfg.get("fixed_input_size")
    return {"in_chans": size[0], **({"img_size": size[1]} if fixed else {})}


def _timm_builds_same(model: NormalizedModel, classes: int, side: int) -> bool:
    """Whether timm builds the same network, with fitting weights and equal logits."""
    cfg = getattr(model.backbone, "pretrained_cfg", None)
    known = cfg.get("architecture") if isinstance(cfg, Mapping) else model.architecture
    if not (known and timm.is_model(known)):
        return False
    images = torch.linspace(0, 1, 2 * model.in_chans * side * side)
    images = images.view(2, model.in_chans, side, side)
    names = [str(number) for number in range(classes)]
    try:
        require_reloadable(model, names, side, images, every_size=True)
    except ModelError:
        return False
    return True
