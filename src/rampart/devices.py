"""The devices of this machine, constants on them, and the processes that share the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from rampart.deferred import torch
from rampart.errors import InvalidArgument

if TYPE_CHECKING:
    from torch import Tensor


def require_device(device: str | torch.device) -> torch.device:
    """Return a device that this machine has.

    Raises:
        InvalidArgument: it has no such device, or the name is not one of torch.
    """
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    own = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    kinds = ["cpu"] if own is None else ["cpu", own.type]
    count = 1 if own is None else torch.accelerator.device_count()
    if found is None or found.type not in kinds or (found.index or 0) >= count:
        numbers = f":0 to {count - 1}" if count > 1 else ""
        do = "leave it out for the device of the model; cpu works without a GPU"
        raise InvalidArgument("device", device, f"{' or '.join(kinds)}{numbers} here", do)
    return found


def rank_and_processes() -> tuple[int, int]:
    """Return the number of this process in its group, and how many there are; (0, 1) alone."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid an NVIDIA GPU to round fp32 products to TF32 inside the block."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@lru_cache(maxsize=64)
def constant(
    values: tuple[float, ...], device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """Return a tensor of constants that is made once for each device; nobody may write into it.

    Each copy of numbers to a GPU waits until the GPU is idle.
    """
    with torch.inference_mode(False):
        return torch.tensor(values, device=device, dtype=dtype)
