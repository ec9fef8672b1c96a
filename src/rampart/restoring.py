"""Blocks after which a network is as it was before them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Have a network in train or eval mode; every submodule is in its own again afterwards."""
    found = [(part, part.training) for part in module.modules()]
    try:
        module.train(training)
        yield
    finally:
        for part, mode in found:
            part.training = mode


@contextmanager
def restored(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Have parameters or buffers, after the block, bit for bit as they were before it."""
    saved = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in saved:
                tensor.copy_(value)
