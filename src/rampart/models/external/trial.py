"""The trial of a model on two images: its number of logits, and whether it has gradients."""

import math

import torch
from torch import Tensor, nn

from rampart.errors import ModelError, reason
from rampart.guarded import BatchSizeError, CallError, GuardedModel
from rampart.input_gradients import NoGradientError, input_gradient
from rampart.logits import all_finite

#: Channels, height and width.
Size = tuple[int, int, int]


def try_model(
    model: nn.Module, name: str, size: Size, device: torch.device
) -> tuple[int, ModelError | None]:
    """Return the number of logits, and why their gradient cannot be computed, if it cannot.

    Args:
        model: pixels in [0, 1] to logits, on the device.
        name: of the model, for messages.
        size: of its images.
        device: of its images.

    Raises:
        ModelError: the model fails on the images, or does not return finite logits.
    """
    images = _trial_images(size, device)
    try:
        logits, gradient_error = _ask(GuardedModel(model, warns=False), images)
    except BatchSizeError as error:
        raise ModelError(f"model '{name}': {error}") from error
    except CallError as error:
        raise ModelError(
            f"model '{name}' fails on images of {size[0]} x {size[1]} x {size[2]} (channels, "
            f"height, width): {reason(error.__cause__ or error)}; set the channels and the size "
            "that it expects."
        ) from error
    except ModelError as error:
        raise ModelError(f"model '{name}': {error}") from error
    # The evaluation counts single images without finite logits.
    if not all_finite(logits).any():
        raise ModelError(
            f"model '{name}' returns no finite logits: find the overflow, or the "
            "division or root of 0; to leave out a class, give it a logit such as -1e4."
        )
    return logits.shape[1], gradient_error


def _trial_images(size: Size, device: torch.device) -> Tensor:
    """Return a darker and a brighter image, (2, C, H, W), of 8 bits.

    They are not of one gray: a model may divide each image by its standard deviation.
    """
    levels = torch.linspace(64, 191, 2 * math.prod(size), device=device).round()
    return (levels / 255).view(2, *size).requires_grad_()


def _ask(model: GuardedModel, images: Tensor) -> tuple[Tensor, ModelError | None]:
    """Return the logits, and why their gradient cannot be computed, if it cannot."""
    try:
        with torch.enable_grad():
            logits = model(images)
    except NoGradientError as error:
        return model(images.detach()), type(error)(*error.args)
    return logits, _gradient_error(images, logits)


def _gradient_error(images: Tensor, logits: Tensor) -> ModelError | None:
    try:
        input_gradient(logits, images)
    except ModelError as error:
        # Without a traceback, which would keep the images and the graph alive.
        return type(error)(*error.args)
    return None
