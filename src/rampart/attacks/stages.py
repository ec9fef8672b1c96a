"""A stage: one method with its loss, run once or once per class; a tier is a list of stages."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rampart.attacks.search import Search
from rampart.losses import Loss


@dataclass(frozen=True)
class Stage:
    """A method as one part of an evaluation.

    Attributes:
        name: "apgd-ce", "apgd-t", "fab-t", "square" and so on; unique in its tier.
        search: the method.
        loss: what it maximises; for a stage with targets one whose targets are (N, 2).
        restarts: independent runs, of each target where there are targets.
        targets: how many of the most likely wrong classes are tried, one after the other; 0 for an
            untargeted stage.
    """

    name: str
    search: Search
    loss: Loss
    restarts: int = 1
    targets: int = 0

    def runs(self, classes: int) -> int:
        """How often it runs for one sample of a task with so many classes."""
        return self.restarts * (min(self.targets, classes - 1) if self.targets else 1)

    def rank(self, run: int) -> int:
        """The rank, from 0 for the most likely wrong class, of the class that a run is to reach."""
        return run // self.restarts


def likely_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (N, K - 1): the wrong classes, the most likely first, by the clean logits (N, K)."""
    order = logits.argsort(dim=1, descending=True, stable=True)
    return order[order != labels[:, None]].view(len(logits), -1)


def with_classes(labels: Tensor, classes: Tensor) -> Tensor:
    """Return the (N, 2) targets of a targeted loss."""
    return torch.stack([labels, classes], dim=1)
