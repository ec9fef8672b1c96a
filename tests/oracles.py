"""Results in closed form, against which attacks are checked."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def linear_model(weight: Tensor, bias: Tensor) -> nn.Module:
    """Return pixels -> W · pixels + b, in the precision of `weight` (K, D)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return nn.Sequential(nn.Flatten(), layer)


def linear_critical_eps(
    weight: Tensor, bias: Tensor, images: Tensor, labels: Tensor, norm: str
) -> Tensor:
    """Return the (N,) critical strengths of a linear model, away from the pixel box.

    min over i != y of (z_y - z_i) / ||w_y - w_i||_*, where * is the dual norm: L1 for Linf, L2 for
    L2 and Linf for L1. It is 0 where the clean image is misclassified.
    """
    logits = images.flatten(1) @ weight.T + bias
    gaps = logits.gather(1, labels[:, None]) - logits
    lengths = torch.linalg.vector_norm(
        weight[labels][:, None] - weight, ord={"linf": 1, "l2": 2, "l1": torch.inf}[norm], dim=2
    )
    ratios = gaps / lengths.clamp_min(1e-30)
    return ratios.scatter(1, labels[:, None], torch.inf).amin(1).clamp_min(0)


def searched_critical_eps(
    breaks: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, halvings: int = 10
) -> Tensor:
    """Return, by bisection in [low, high], the (N,) smallest strengths where `breaks(eps)` holds.

    A strength outside the interval is replaced by the nearest end.
    """
    for _ in range(halvings):
        middle = (low + high) / 2
        is_adv = breaks(middle)
        low, high = torch.where(is_adv, low, middle), torch.where(is_adv, middle, high)
    return high
