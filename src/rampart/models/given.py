"""A module that the user gives, in the place of a backbone that the configuration names."""

import copy
from collections.abc import Mapping, Sequence

import timm
import torch
from torch import Tensor, nn

from rampart.errors import InvalidArgument, ModelError, reason
from rampart.models.external.loaded import Size, Wanted
from rampart.models.normalized import NormalizedModel, require_pixels
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
    """Return a copy of a module on the CPU as a classifier of pixels in [0, 1], tried once.

    Its backbone is the copy itself where timm can build the same network, and else an
    `OwnBackbone`.

    Args:
        module: from pixels in [0, 1], or with mean and std from normalized images, to logits.
        num_classes: K, the number of logits that it must return.
        input_size: (C, H, W) of the images.
        mean: of each channel.
        std: of each channel, likewise.

    Raises:
        ModelError: it cannot be copied or saved, or does not return K logits for such images.
        InvalidArgument: a bare network of timm without mean and std, or one of the two alone.
    """
    require_pixels(module, mean)
    channels, side, _ = input_size
    # Both or none, as everywhere.
    Wanted(num_classes, side, channels, mean, std)
    copied = _copied(module)
    if isinstance(copied, NormalizedModel):
        if mean is not None:
            raise InvalidArgument("mean", list(mean), "no mean, for the module has its own")
        model = copied
    else:
        means, stds = mean or [0.0] * channels, std or [1.0] * channels
        if len(means) != channels:
            raise InvalidArgument("mean", list(means), f"{channels} values, one for each channel")
        model = NormalizedModel(copied, means, stds, side, _arguments(copied, input_size))
    if not _is_timms(model, num_classes, side):
        model.backbone = OwnBackbone(model.backbone, num_classes)
    name = type(module).__qualname__
    # With the normalization inside, there is none left to put before it.
    plain = Wanted(num_classes, side, channels)
    plain.examine(model, name=name, source="module", fingerprint=None, own_size=input_size)
    return model.train()


def _copied(module: nn.Module) -> nn.Module:
    name = type(module).__qualname__
    try:
        copied = copy.deepcopy(module).cpu()
    # A module holds what it likes.
    except Exception as error:
        raise ModelError(f"module {name} cannot be copied ({reason(error)}).") from error
    state = copied.state_dict()
    other = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if other:
        raise ModelError(
            f"module {name} cannot be saved: '{other[0]}' in its state_dict is no tensor."
        )
    return copied


def _arguments(module: nn.Module, size: Size) -> dict[str, int]:
    """The arguments with which timm may build the same network, if it is one of timm's."""
    cfg = getattr(module, "pretrained_cfg", None)
    fixed = isinstance(cfg, Mapping) and cfg.get("fixed_input_size")
    return {"in_chans": size[0], **({"img_size": size[1]} if fixed else {})}


def _is_timms(model: NormalizedModel, classes: int, side: int) -> bool:
    """Whether timm builds the same network: the same weights fit and give the same logits."""
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
