"""Context managers that restore a network after the block."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def set_mode(module: nn.Module, training: bool) -> None:
    """Put a network in train or eval mode; a program of torch.export keeps that of its export."""
    try:
        module.train(training)
    # The operators of a program fix its mode, so its own `train` and `eval` raise.
    except NotImplementedError:
        module.training = training
        for part in module.children():
            set_mode(part, training)


@contextmanager
def in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Put a network in train or eval mode inside the block; then restore every submodule's mode."""
    found = [(part, part.training) for part in module.modules()]
    try:
        set_mode(module, training)
        yield
    finally:
        for part, mode in found:
            part.training = mode


@contextmanager
def restored(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Restore parameters or buffers bit for bit after the block."""
    saved = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in saved:
                tensor.copy_(value)
