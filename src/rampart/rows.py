"""Sums and lengths over the pixels of each sample, rounded alike however many samples there are.

torch shares the sum of one long row out among its threads, and sums each of several rows on one
thread. The last bit then depends on whether a sample is alone. Here a lone row is summed as one of
two.
"""

import torch
from torch import Tensor

Dims = int | tuple[int, ...]


def row_sum(values: Tensor, dim: Dims = 1, keepdim: bool = False) -> Tensor:
    """Return the sums of (N, ...) over `dim`, which must leave out the first dimension."""
    return _several(values).sum(dim, keepdim=keepdim)[: len(values)]


def row_norm(values: Tensor, order: float = 2, dim: Dims = 1, keepdim: bool = False) -> Tensor:
    """Return the lengths of (N, ...) over `dim`, which must leave out the first dimension."""
    lengths = torch.linalg.vector_norm(_several(values), ord=order, dim=dim, keepdim=keepdim)
    return lengths[: len(values)]


def _several(values: Tensor) -> Tensor:
    """The values; where there is one row, it stands twice, without a copy."""
    return values.expand(2, *values.shape[1:]) if len(values) == 1 else values
