"""How an evaluation asks a model: in single precision, never in tiny batches, and counting."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from rampart.attacks.frozen import Model, module_of

#: Smaller batches are filled up to this many rows: libraries compute very small ones by other
#: kernels, whose rounding differs, and a result shall not depend on the batch it was found in.
LEAST_ROWS = 16


@contextmanager
def single_precision(device: torch.device) -> Iterator[None]:
    """Compute in float32 as such: without mixed precision, and without TF32 where there is any."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


def logits_of(model: Model, images: Tensor) -> Tensor:
    """Return (N, K) float32 logits without gradients; mixed precision is off inside."""
    with torch.no_grad(), single_precision(images.device):
        return model(images.float()).float()


class Asked:
    """A model as an evaluation asks it: float32 without mixed precision, batches of 16 or more.

    Attributes:
        module: pixels to logits; attacks see through to it.
        forwards: samples that went forward, without those that only filled a batch.
        backwards: samples whose logits received a gradient.
    """

    def __init__(self, module: Model) -> None:
        self.module = module
        self.forwards = 0
        self.backwards = 0

    @property
    def passes(self) -> tuple[int, int]:
        """Forwards and backwards so far."""
        return self.forwards, self.backwards

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 logits (N, K)."""
        n = len(images)
        if n < LEAST_ROWS:
            images = images[torch.arange(LEAST_ROWS, device=images.device) % n]
        with single_precision(images.device):
            logits = self.module(images.float())
        self.forwards += n
        if isinstance(logits, Tensor) and logits.requires_grad:
            hooked: Any = logits
            hooked.register_hook(partial(self._count_backward, n))
        # What is no (N, K) tensor is refused by whoever looks at it.
        return logits[:n].float() if isinstance(logits, Tensor) and logits.ndim else logits

    def _count_backward(self, n: int, _: Tensor) -> None:
        self.backwards += n


def device_of(model: Model) -> torch.device:
    """Return where the parameters lie, else the buffers; the CPU for a callable without any."""
    module = module_of(model)
    tensors = iter(()) if module is None else chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
