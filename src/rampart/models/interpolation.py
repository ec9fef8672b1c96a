"""Interpolation between the weights of two models of one architecture."""

from collections.abc import Mapping

import torch
from torch import Tensor

from rampart.errors import ModelError


def interpolate(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], fraction: float
) -> dict[str, Tensor]:
    """Return (1 - fraction) first + fraction second of two state dicts; exact at 0 and at 1.

    Running statistics are interpolated too. Integers, such as a count of batches, come from the
    nearer model. Between two models fine-tuned from the same weights accuracy mostly stays high
    (Wortsman et al. 2022, arXiv 2109.01903).

    Raises:
        ModelError: the names or shapes differ.
    """
    _require_alike(first, second)
    if fraction in (0, 1):
        return {name: value.clone() for name, value in (second if fraction else first).items()}
    return {
        name: torch.lerp(value, second[name].to(value.dtype), fraction)
        if value.is_floating_point()
        else (second[name] if fraction > 0.5 else value).clone()
        for name, value in first.items()
    }


def _require_alike(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    shapes = [{name: tuple(value.shape) for name, value in one.items()} for one in (first, second)]
    for name in sorted(shapes[0].keys() | shapes[1].keys()):
        found = [one.get(name) for one in shapes]
        if found[0] != found[1]:
            raise ModelError(
                f"the two models differ in '{name}' ({found[0]} and {found[1]}): use two runs of "
                "the same architecture."
            )
