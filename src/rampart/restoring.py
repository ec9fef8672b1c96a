"""Context managers that restore a network after the block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rampart.deferred import nn, torch

if TYPE_CHECKING:
    from torch import Tensor


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
def fixed(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Turn off the gradients of parameters inside the block; those of others do not change."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def restored_buffers(module: nn.Module, *, same_mode: bool = False) -> Iterator[None]:
    """Restore the buffers of a network after the block: their values and the tensors themselves.

    A buffer may have been changed in place or assigned anew (`self.count = self.count + 1`).

    Args:
        module: the network.
        same_mode: whether the block keeps every submodule in its mode. A BatchNorm in eval mode
            then changes no buffer, and copying hundreds of small ones takes time, so it is left
            out.
    """
    found = [(part, dict(part._buffers)) for part in module.modules()]
    batch_norm = nn.modules.batchnorm._BatchNorm
    changing = [
        buffer
        for part, buffers in found
        if not (same_mode and isinstance(part, batch_norm) and not part.training)
        for buffer in buffers.values()
        if buffer is not None
    ]
    try:
        with restored(changing):
            yield
    finally:
        for part, buffers in found:
            _put_back(part._buffers, buffers)


def _put_back(now: MutableMapping[str, Any], before: Mapping[str, Any]) -> None:
    """Restore the entries of a module's buffers, one by one, as TorchScript needs."""
    for name in now.keys() - before.keys():
        del now[name]
    for name, buffer in before.items():
        if name not in now or now[name] is not buffer:
            now[name] = buffer


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
