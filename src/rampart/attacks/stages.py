"""A stage is one method with its loss, run once or once per class; a suite is a list of stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rampart.attacks.algorithm import Algorithm, Problem
from rampart.attacks.running import run_algorithm
from rampart.deferred import torch
from rampart.logits import is_correct
from rampart.losses import Loss
from rampart.runtime import Noise

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Stage:
    """One attack of an attack suite with its loss and restarts.

    Attributes:
        name: such as "apgd-ce", "apgd-t", "fab-t" or "square"; unique in its attack suite.
        algorithm: the method.
        loss: what it maximizes; a targeted stage needs a loss with targets (N, 2).
        restarts: number of independent runs, for each target class in a targeted stage.
        targets: number of the likeliest wrong classes to try, one after another; 0 for an
            untargeted stage.
    """

    name: str
    algorithm: Algorithm
    loss: Loss
    restarts: int = 1
    targets: int = 0

    def runs(self, num_classes: int) -> int:
        """Return how many runs one sample has at most."""
        return self.restarts * (min(self.targets, num_classes - 1) if self.targets else 1)

    def rank(self, run: int) -> int:
        """Return the rank of a run's target class; 0 is the likeliest wrong class."""
        return run // self.restarts


def likely_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the wrong classes (N, K - 1), likeliest first by the clean logits (N, K)."""
    order = logits.argsort(dim=1, descending=True, stable=True)
    return order[order != labels[:, None]].view(len(logits), -1)


def with_classes(labels: Tensor, classes: Tensor) -> Tensor:
    """Return the (N, 2) targets of a targeted loss."""
    return torch.stack([labels, classes], dim=1)


def run_noise(noise: Noise, stage: Stage, numbers: Tensor) -> Noise:
    """Return the noise of a stage; `numbers` (N,) gives the run of each sample."""
    return noise.child(stage.name).at(numbers)


def cascade(problem: Problem, stages: Sequence[Stage], clean: Tensor | None = None) -> Tensor:
    """Return points (N, C, H, W): of the first successful run of a sample, else of the last run.

    Every run starts anew and attacks only the samples that are still robust, each at its own eps.
    `clean` are the logits (N, K) of the images, if they are known.
    """
    labels, points = problem.targets, problem.images.clone()
    clean = problem.ask(problem.images) if clean is None else clean
    classes = likely_classes(clean, labels)
    robust = is_correct(clean, labels).nonzero()[:, 0]
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
    """Return the problem of one run for the samples that are still robust."""
    part = problem.select(robust)
    targets = part.targets
    if stage.targets:
        targets = with_classes(targets, classes[robust, stage.rank(run)])
    numbers = torch.full((len(part),), run, device=targets.device)
    noise = run_noise(part.noise, stage, numbers)
    return replace(part, targets=targets, noise=noise, loss=stage.loss)
