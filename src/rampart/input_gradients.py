"""The gradient with respect to the pixels, and the reason why a model has none.

sqrt, norms and logarithms have infinite derivatives at 0. One black pixel would then decide the
direction of a whole step, or turn every pixel into NaN. Entries that are not finite count as 0:
the pixel does not move, and the other pixels move as usual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rampart.deferred import torch
from rampart.errors import ModelError, RampartError, reason

if TYPE_CHECKING:
    from torch import Tensor

#: Parts of torch's messages, and how to change the model.
_REMEDIES = {
    "use_reentrant": "pass use_reentrant=False to torch.utils.checkpoint; in Hugging Face, "
    "gradient_checkpointing_kwargs={'use_reentrant': False}",
    "inplace operation": "write x = x + 1 in place of x += 1 where the gradient needs the old x",
    "second time": "compute everything anew in each call, and keep no tensor of an earlier one",
    "not implemented": "replace this operation by one that has a derivative",
}
_OTHERWISE = "correct its backward pass, so that torch.autograd.grad returns the gradient"


class NoGradientError(ModelError):
    """The gradient of the output does not reach the pixels."""


def input_gradient(value: Tensor, points: Tensor, *, again: bool = False) -> Tensor:
    """Return the gradient of the sum of `value` in the shape of `points`, all of it finite.

    Args:
        value: (N, ...), computed from the points.
        points: (N, C, H, W), a leaf that requires a gradient.
        again: whether another gradient of the same pass follows.

    Raises:
        ModelError: see `raw_input_gradient`.
    """
    return finite(raw_input_gradient(value, points, again=again))


def finite(gradient: Tensor) -> Tensor:
    """Return the gradient with 0 for every entry that is not finite."""
    return gradient.nan_to_num(0.0, 0.0, 0.0)


def raw_input_gradient(value: Tensor, points: Tensor, *, again: bool = False) -> Tensor:
    """Return the gradient as torch computes it, with entries that are not finite.

    Raises:
        NoGradientError: the value does not depend on the points, or not by a differentiable way.
        ModelError: the backward pass of the model fails; the message has the reason and a remedy.
    """
    if not value.requires_grad:
        raise unreached()
    try:
        (slope,) = torch.autograd.grad(value.sum(), points, retain_graph=again, allow_unused=True)
    # Too large a batch is no fault of the model.
    except (torch.OutOfMemoryError, RampartError):
        raise
    # A model's own backward pass may raise any error.
    except Exception as error:
        raise ModelError(
            f"the backward pass of the model fails ({reason(error)}): {_remedy(error)}."
        ) from error
    if slope is None:
        raise unreached()
    return slope


def unreached() -> NoGradientError:
    """Return the error for a model without gradients."""
    return NoGradientError(
        "the logits are not differentiable with respect to the pixels, so gradient attacks "
        "cannot run; remove no_grad and detach from the model, or use the attack square."
    )


def _remedy(error: Exception) -> str:
    text = str(error)
    return next((do for part, do in _REMEDIES.items() if part in text), _OTHERWISE)
