"""A model that takes batches of one size only, as many exported programs do.

`torch.export`, `torch.jit.trace` and ONNX fix the size of the example unless they are told that the
batch is dynamic; so does a number in `reshape`. The error that follows names other shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rampart.deferred import nn, torch

if TYPE_CHECKING:
    from torch import Tensor


#: Sizes that are tried, after those that the error names; larger ones might not fit into memory.
_USUAL, _LARGEST = (1, 2, 4, 8, 16, 32, 64), 256


def accepted_batch(
    model: Callable[..., Any], images: Tensor, options: dict[str, Any], message: str
) -> int | None:
    """Return the only number of images that a model takes; None if it fails for another reason.

    Args:
        model: failed on the images.
        images: (N, C, H, W).
        options: of the call.
        message: of its error; it often names the size.
    """

    def takes(n: int) -> bool:
        levels = torch.linspace(0.25, 0.75, n * images[0].numel(), device=images.device)
        # The code of a model may raise any error.
        try:
            with torch.no_grad():
                model(levels.view(n, *images.shape[1:]).to(images.dtype), **options)
        except Exception:
            return False
        return True

    named = [int(found) for found in re.findall(r"\b\d{1,3}(?=\b|x)", message)]
    sizes = dict.fromkeys(n for n in (*named, *_USUAL) if 0 < n <= _LARGEST and n != len(images))
    # A model that takes as many other images fails because of their values.
    if not len(images) or takes(len(images)):
        return None
    size = next((n for n in sizes if takes(n)), None)
    # BatchNorm in train mode takes any number but one.
    return size if size and not takes(size + 1) else None


def how_to_export(model: object) -> str:
    """Return how to get a model for batches of any size."""
    parts = list(model.modules()) if isinstance(model, nn.Module) else [model]
    if any(isinstance(part, torch.fx.GraphModule) for part in parts):
        return (
            "export it with torch.export.export(model, (images,), dynamic_shapes=({0: "
            "torch.export.Dim.DYNAMIC},)), or give its file, FILE.pt2, for which Rampart fills the "
            "batches up"
        )
    if any(isinstance(part, torch.jit.ScriptModule) for part in parts):
        return (
            "write x.flatten(1), or x.shape[0] in place of the number, in its forward(), and trace "
            "or script it again"
        )
    return (
        "write x.flatten(1), or x.shape[0] in place of the number, in its forward(); for ONNX "
        "export it with torch.onnx.export(..., input_names=['images'], dynamic_axes={'images': "
        "{0: 'batch'}})"
    )
