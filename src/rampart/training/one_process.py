"""One process that trains alone, without the other processes of its run."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer


class OneProcess:
    """The part of an `Accelerator` that an optimizer step uses, for one process without wrappers.

    Args:
        accelerator: gives the device and the precision.
        optimizer: of the model that is trained.

    Attributes:
        optimizer: the same; it unscales a gradient that mixed precision has scaled.
    """

    num_processes = 1
    process_index = 0

    def __init__(self, accelerator: Accelerator, optimizer: Optimizer) -> None:
        self.device = accelerator.device
        self._accelerator = accelerator
        self._own = optimizer
        scaled = accelerator.scaler is not None
        self._scaler = GradScaler(self.device.type) if scaled else None
        self.optimizer = AcceleratedOptimizer(
            optimizer, device_placement=False, scaler=self._scaler
        )

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context of mixed precision."""
        context: AbstractContextManager[None] = self._accelerator.autocast()
        return context

    def no_sync(self, model: nn.Module) -> AbstractContextManager[None]:
        """Return a context that does nothing; no other process has gradients to add."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Add the gradient, scaled if the precision needs it."""
        torch.autograd.backward(loss if self._scaler is None else self._scaler.scale(loss))

    def clip_grad_norm_(self, parameters: Iterable[nn.Parameter], max_norm: float) -> None:
        """Clip the gradient as a whole."""
        if self._scaler is not None:
            self._scaler.unscale_(self._own)
        clip_grad_norm_(parameters, max_norm)

    def reduce(self, tensor: Tensor | int, reduction: str) -> Tensor | int:
        """Return the tensor itself; no other process adds to it."""
        return tensor

    def unwrap_model(self, model: nn.Module) -> nn.Module:
        """Return the model, which has no wrapper."""
        return model
