"""One process that trains on its own, whatever the other processes of a run do."""

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
    """What an optimizer step asks of an `Accelerator`, without its wrappers and other processes.

    Args:
        accelerator: whose device and precision are taken over.
        optimizer: of the one model that is trained.

    Attributes:
        optimizer: the same; it unscales the gradient where the precision has scaled it.
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
        """Return a context that does nothing: there are no gradients of others."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Add the gradient, scaled where the precision asks for it."""
        torch.autograd.backward(loss if self._scaler is None else self._scaler.scale(loss))

    def clip_grad_norm_(self, parameters: Iterable[nn.Parameter], max_norm: float) -> None:
        """Clip the gradient as a whole."""
        if self._scaler is not None:
            self._scaler.unscale_(self._own)
        clip_grad_norm_(parameters, max_norm)

    def reduce(self, tensor: Tensor | int, reduction: str) -> Tensor | int:
        """Return what is to be summed: there are no other processes."""
        return tensor

    def unwrap_model(self, model: nn.Module) -> nn.Module:
        """Return the model, which has no wrapper."""
        return model
