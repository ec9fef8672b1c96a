"""How a model is asked in an evaluation: without gradients and in single precision."""

import torch
from torch import Tensor

from rampart.attacks.frozen import Model, module_of


def logits_of(model: Model, images: Tensor) -> Tensor:
    """Return (N, K) float32 logits without gradients; mixed precision is off inside."""
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        return model(images.float()).float()


def device_of(model: Model) -> torch.device:
    """Return where the parameters lie; the CPU for a callable without any."""
    module = module_of(model)
    parameters = iter(()) if module is None else module.parameters()
    return next((parameter.device for parameter in parameters), torch.device("cpu"))
