"""A stage: one method with its loss, run once or once per class; an attack suite is a list of
stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rampart.attacks.algorithm import Algorithm, Problem, run_algorithm
from rampart.losses import Loss
from rampart.runtime import Noise


@dataclass(frozen=True)
class Stage:
    """A method as one part of an evaluation.

    Attributes:
        name: "apgd-ce", "apgd-t", "fab-t", "square" and so on; unique in its attack suite.
        algorithm: the method.
        loss: what it maximizes; for a stage with targets one whose targets are (N, 2).
        restarts: independent runs, of each target where there are targets.
        targets: how many of the most likely wrong classes are tried, one after the other; 0 for an
            untargeted stage.
    """

    name: str
    algorithm: Algorithm
    loss: Loss
    restarts: int = 1
    targets: int = 0

    def runs(self, num_classes: int) -> int:
        """How often it runs for one sample of a task with so many classes."""
        return self.restarts * (min(self.targets, num_classes - 1) if self.targets else 1)

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


def run_noise(noise: Noise, stage: Stage, numbers: Tensor) -> Noise:
    """Return the noise of each sample's own run of a stage; `numbers` is (N,)."""
    return noise.child(stage.name).at(numbers)


def cascade(problem: Problem, stages: Sequence[Stage]) -> Tensor:
    """Return points (N, C, H, W): of the first run that breaks a sample, else of the last one.

    One strength at a time, each run from the clean image on the samples that still stand.
    """
    labels, points = problem.targets, problem.images.clone()
    clean = problem.model(problem.images)
    classes = likely_classes(clean, labels)
    robust = (clean.argmax(1) == labels).nonzero()[:, 0]
    for stage in stages:
        for run in range(stage.runs(clean.shape[1])):
            if not len(robust):
                return points
            found = run_algorithm(
                _select_part(problem, stage, run, classes, robust), stage.algorithm, "adversarial"
            )
            points[robust] = found.points
            robust = robust[~found.is_adv]
    return points


def _select_part(
    problem: Problem, stage: Stage, run: int, classes: Tensor, robust: Tensor
) -> Problem:
    """The problem of one run on the samples that still stand."""
    part = problem.select(robust)
    targets = part.targets
    if stage.targets:
        targets = with_classes(targets, classes[robust, stage.rank(run)])
    numbers = torch.full((len(part),), run, device=targets.device)
    noise = run_noise(part.noise, stage, numbers)
    return replace(part, targets=targets, noise=noise, loss=stage.loss)
