"""Answers known in closed form, against which searches are checked."""

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
    """Return the (N,) smallest strengths that break a linear model, away from the pixel box.

    min over i != y of (z_y - z_i) / ||w_y - w_i||_*, the dual norm of Linf being L1, of L2 L2,
    of L1 Linf;
    0 where the model is wrong already.
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

    An end of the interval comes back where the strength lies outside.
    """
    for _ in range(halvings):
        middle = (low + high) / 2
        is_adv = breaks(middle)
        low, high = torch.where(is_adv, low, middle), torch.where(is_adv, middle, high)
    return high
