"""Sums and norms over the pixels of each sample, rounded alike for any number of samples.

torch splits the sum of a single long row among its threads, but sums each of several rows on one
thread. The last bit then depends on whether a sample is alone. Here a single row is summed as one
of two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rampart.deferred import torch

if TYPE_CHECKING:
    from torch import Tensor


Dims = int | tuple[int, ...]


def row_sum(values: Tensor, dim: Dims = 1, keepdim: bool = False) -> Tensor:
    """Return the sums of (N, ...) over `dim`, which must leave out the first dimension."""
    return _several(values).sum(dim, keepdim=keepdim)[: len(values)]


def row_norm(values: Tensor, order: float = 2, dim: Dims = 1, keepdim: bool = False) -> Tensor:
    """Return the norms of (N, ...) over `dim`, which must leave out the first dimension."""
    lengths = torch.linalg.vector_norm(_several(values), ord=order, dim=dim, keepdim=keepdim)
    return lengths[: len(values)]


def _several(values: Tensor) -> Tensor:
    """Return the values, with a single row repeated without a copy."""
    return values.expand(2, *values.shape[1:]) if len(values) == 1 else values
