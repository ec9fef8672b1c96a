"""Images away from the pixel box and a model for which the answer is known in closed form."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from oracles import linear_critical_eps, linear_model
from rampart.data.batches import Batch


@dataclass(frozen=True)
class Task:
    """A linear model, images (N, 1, 4, 4) uint8 and labels, some of them wrong for the model."""

    weight: Tensor
    bias: Tensor
    images: Tensor
    labels: Tensor

    @property
    def model(self) -> nn.Module:
        return linear_model(self.weight, self.bias)

    def batches(self, size: int, rows: Tensor | None = None) -> list[Batch]:
        rows = torch.arange(len(self.labels)) if rows is None else rows
        return [Batch(self.images[r], self.labels[r], r) for r in rows.split(size)]

    def critical(self, grid: tuple[float, ...], norm: str) -> np.ndarray:
        """The critical index by the closed form."""
        pixels = self.images.double() / 255
        eps = linear_critical_eps(
            self.weight.double(), self.bias.double(), pixels, self.labels, norm
        )
        return np.searchsorted(grid, eps.numpy())


def make_task(classes: int = 2) -> Task:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(classes, 16, generator=generator)
    images = torch.randint(60, 195, (60, 1, 4, 4), generator=generator, dtype=torch.uint8)
    bias = -weight.sum(1) / 2
    labels = (images.flatten(1) / 255 @ weight.T + bias).argmax(1)
    labels[::9] = (labels[::9] + 1) % classes
    return Task(weight, bias, images, labels)
