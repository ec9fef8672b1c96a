"""Expectation over a stochastic model: each look is the mean of several draws."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rampart.attacks.search import Climb, Problem, Search, Seen
from rampart.units import Norm


@dataclass(frozen=True)
class Averaged(Search):
    """A search that sees the mean of `draws` answers of the model (Athalye et al. 2018, EOT).

    Value and gradient are means. A point is broken where the mean probabilities give another class:
    AutoAttack's code decides by the last draw alone, so that among hundreds of iterates a lucky
    draw breaks every sample.
    """

    search: Search
    draws: int

    @property
    def steps(self) -> int:  # type: ignore[override]  # the inner search's
        """The steps of the inner search."""
        return self.search.steps

    def start(self, problem: Problem) -> Tensor:
        """Return where the inner search starts."""
        return self.search.start(problem)

    def looks(self, norm: Norm) -> int:
        """Return how often the inner search looks, each time `draws` times."""
        return self.search.looks(norm)

    def begin(self, problem: Problem, points: Tensor, seen: Seen) -> Climb:
        """Return the memory of the inner search."""
        return self.search.begin(problem, points, seen)

    def look(self, problem: Problem, points: Tensor, gradient: bool = True) -> Seen:
        """Return the means over the draws."""
        seen = [self.search.look(problem, points, gradient) for _ in range(self.draws)]

        def mean(name: str) -> Tensor:
            return torch.stack([getattr(one, name) for one in seen]).mean(0)

        logits = torch.stack([one.logits.softmax(1) for one in seen]).mean(0).log()
        broken = problem.loss.broken(logits, problem.targets) & problem.holds(points)
        return replace(
            seen[0], value=mean("value"), gradient=mean("gradient"), logits=logits, broken=broken
        )
