"""Another size of images for an architecture that is built for one size."""

import sys
from collections.abc import Callable

import torch
from torch import nn

from rampart.errors import ModelError, reason
from rampart.models.weights import misfits
from rampart.restoring import in_mode
from rampart.runtime import scoped_seed

#: Builds the same architecture, with random weights, for images of a side.
Build = Callable[[int], nn.Module]


def resize(
    backbone: nn.Module, build: Build, own: int, size: int, in_chans: int
) -> tuple[nn.Module, int]:
    """Return a network with the same weights for images of another size.

    The first way that works is taken: timm's `set_input_size`; the network as it is; a network
    built for the new size, if the weights fit it, perhaps after timm has resampled them.

    Args:
        backbone: built for images of the side `own`; it may be changed.
        build: see `Build`.
        own: side of the images of the backbone, in pixels.
        size: side of the new images, in pixels.
        in_chans: number of channels.

    Returns:
        The network, and the side with which timm builds it (its argument `img_size`).

    Raises:
        ModelError: timm cannot resize the architecture; names both sizes.
    """
    ways: tuple[Callable[[nn.Module, Build, int, int], tuple[nn.Module, int]], ...]
    ways = (_keep, _build_again)
    if hasattr(backbone, "set_input_size"):
        ways = (_set_size,)
    for way in ways:
        try:
            network, side = way(backbone, build, own, size)
            try_size(network, size, in_chans)
        # The code of an architecture may raise any error.
        except Exception as error:
            why = str(error) if isinstance(error, ModelError) else reason(error)
        else:
            return network, side
    name = getattr(backbone, "pretrained_cfg", {}).get("architecture") or type(backbone).__name__
    raise ModelError(
        f"'{name}' is built for images of {own} x {own} pixels and cannot take {size} x {size} "
        f"({why}): write data.image_size={own}, or choose an architecture of any size."
    )


def try_size(network: nn.Module, size: int, in_chans: int) -> None:
    """Compute the logits of one image; any error means that the size does not fit."""
    device = next(network.parameters()).device
    images = torch.full((1, in_chans, size, size), 0.5, device=device)
    with in_mode(network, training=False), torch.no_grad(), scoped_seed(0, "resizing"):
        network(images)


def _set_size(backbone: nn.Module, build: Build, own: int, size: int) -> tuple[nn.Module, int]:
    backbone.set_input_size(img_size=size)  # type: ignore[operator]  # timm's interface
    return backbone, size


def _keep(backbone: nn.Module, build: Build, own: int, size: int) -> tuple[nn.Module, int]:
    return backbone, own


def _build_again(backbone: nn.Module, build: Build, own: int, size: int) -> tuple[nn.Module, int]:
    network, weights = build(size), backbone.state_dict()
    if misfits(network.state_dict(), weights):
        # timm resamples the weights of some architectures when it loads them.
        resample = getattr(sys.modules[type(backbone).__module__], "checkpoint_filter_fn", None)
        weights = resample(weights, network) if resample else weights
    if faults := misfits(network.state_dict(), weights):
        raise ModelError("; ".join(faults))
    network.load_state_dict(weights, strict=False)
    return network, size
