"""How an evaluation queries a model: in float32, in batches of one shape, and counting passes.

Libraries may use another kernel for another batch shape, and its rounding differs. On a CPU every
batch of the model therefore has `ROWS` rows in new contiguous memory. The logits of an image then
do not depend on the batch size, the order or the number of the images. `rounding_of_batches`
measures how far this holds on a device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from rampart.attacks.frozen import Model, module_of
from rampart.compiling import is_compiled
from rampart.devices import tf32
from rampart.guarded import GuardedModel
from rampart.runtime import Noise

#: Rows of every batch on a CPU, where larger batches are no faster (`benchmarks/rows.py`). Other
#: devices get a multiple of this, which uses them fully.
ROWS = 16


@contextmanager
def single_precision(device: torch.device) -> Iterator[None]:
    """Compute in float32, without mixed precision and TF32."""
    with tf32(False), torch.autocast(device.type, enabled=False):
        yield


def logits_of(model: Model, images: Tensor) -> Tensor:
    """Return (N, K) float32 logits without gradients; mixed precision is off inside."""
    with torch.no_grad():
        return QueriedModel.of(model)(images).float()


class QueriedModel(GuardedModel):
    """Queries a model in float32, in batches of one shape, and counts the passes.

    Attributes:
        rows: rows of every batch; None for `ROWS` on a CPU or with a compiled network, and else a
            multiple of it.
        forwards: number of samples passed forward, without rows that only fill a batch.
        backwards: number of samples whose logits received a gradient.
        rows_forward: number of rows passed forward, with those that fill a batch.
        rows_backward: number of rows whose logits received a gradient, likewise.
    """

    def __init__(self, module: Model, rows: int | None = None) -> None:
        # A check of the evaluation reports a model that writes into its input.
        super().__init__(module, warns=False)
        self.rows = rows
        self.forwards = self.backwards = 0
        self.rows_forward = self.rows_backward = 0

    @classmethod
    def of(cls, model: Model) -> "QueriedModel":
        """Return the model itself if it counts already, so that one counter counts everything."""
        return model if isinstance(model, cls) else cls(model)

    @property
    def passes(self) -> tuple[int, int]:
        """Forwards and backwards so far."""
        return self.forwards, self.backwards

    def discount(self, forwards: int, backwards: int) -> None:
        """Take back passes that no result uses; they were rows that would have filled a batch."""
        self.forwards -= forwards
        self.backwards -= backwards

    def __call__(self, images: Tensor, **options: Any) -> Tensor:
        """Return float32 logits (N, K).

        Raises:
            ModelError: the output holds no logits (N, K).
        """
        n = len(images)
        ask = partial(super().__call__, **options)
        with single_precision(images.device):
            logits = _in_batches(ask, images.float(), self._rows())
        self.forwards += n
        self.rows_forward += len(logits)
        if logits.requires_grad:
            hooked: Any = logits
            hooked.register_hook(partial(self._count_backward, n))
        return logits[:n].float()

    def _rows(self) -> int | None:
        """Return the rows of every batch, if it has to be one number."""
        # Each number of rows would be compiled anew.
        compiled = self.rows is None and is_compiled(module_of(self))
        return ROWS if compiled else self.rows

    def _count_backward(self, n: int, gradient: Tensor) -> None:
        self.backwards += n
        self.rows_backward += len(gradient)


def _in_batches(model: Model, images: Tensor, rows: int | None) -> Tensor:
    """Return the logits of the images and of the rows that fill the last batch."""
    if rows is None:
        rows = ROWS if images.device.type == "cpu" else ROWS * max(1, -(-len(images) // ROWS))
    return torch.cat([model(_fill_batch(batch, rows)) for batch in torch.split(images, rows)])


def _fill_batch(batch: Tensor, rows: int) -> Tensor:
    """Return the batch, contiguous and filled up with copies of its first rows.

    The guard of the model copies it into new memory.
    """
    missing = rows - len(batch)
    if not missing:
        return batch.contiguous()
    first = batch.detach() if len(batch) else batch.new_zeros(1, *batch.shape[1:])
    filler = first[torch.arange(missing, device=batch.device) % len(first)]
    return torch.cat([batch, filler]).contiguous()


def device_of(model: Model) -> torch.device:
    """Return the device of the parameters, else of the buffers; the CPU if there are none."""
    module = module_of(model)
    tensors = iter(()) if module is None else chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def rounding_of_batches(device: torch.device) -> float:
    """Return how much a row of logits changes with its place in the batch and the other rows.

    It measures a small convolution and a matrix product of odd sizes, which libraries round most
    differently, and returns the largest change as a fraction of the largest logit. 0 means that
    results are bit for bit independent of the batch.
    """
    noise = Noise.of(0, torch.arange(64, device=device), "rounding")
    images, kernel = noise.uniform(1, 8, 8), noise.child("kernel").normal(1, 3, 3)[:6]
    weight = noise.child("weight").normal(54)[:5]

    def model(pixels: Tensor) -> Tensor:
        features = torch.conv2d(pixels - 0.5, kernel, stride=2).relu().flatten(1)
        return torch.nn.functional.linear(features, weight)

    queried = QueriedModel(model)
    whole, order = queried(images), noise.child("order").uniform(1)[:, 0].argsort()
    changes = [queried(images[order]) - whole[order]]
    changes += [queried(images[:n]) - whole[:n] for n in (1, 3, 17)]
    return max(float(change.abs().amax()) for change in changes) / float(whole.abs().amax())
