"""Attacks on a stochastic model: each query is the mean of several draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rampart.attacks.algorithm import Algorithm, AlgorithmState, Output, Problem
from rampart.deferred import torch
from rampart.logits import all_finite
from rampart.units import Norm

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Averaged(Algorithm):
    """An algorithm whose queries are means of `draws` passes (EOT, Athalye et al. 2018).

    Value and gradient are means. A point is adversarial where the mean probabilities give another
    class. AutoAttack's code decides by the last draw alone: among hundreds of iterates, one
    unlikely draw then makes almost any sample count as misclassified.
    """

    algorithm: Algorithm
    draws: int

    @property
    def steps(self) -> int:  # type: ignore[override]  # the inner algorithm's
        """The steps of the inner algorithm."""
        return self.algorithm.steps

    @property
    def one_pass(self) -> bool:
        """False, because a query takes `draws` passes."""
        return False

    def start(self, problem: Problem) -> Tensor:
        """Return the starting points of the inner algorithm."""
        return self.algorithm.start(problem)

    def count_queries(self, norm: Norm) -> int:
        """Return the number of queries of the inner algorithm; each costs `draws` passes."""
        return self.algorithm.count_queries(norm)

    def begin(self, problem: Problem, points: Tensor, output: Output) -> AlgorithmState:
        """Return the first state of the inner algorithm."""
        return self.algorithm.begin(problem, points, output)

    def query(self, problem: Problem, points: Tensor, gradient: bool = True) -> Output:
        """Return the means over the draws."""
        output = [self.algorithm.query(problem, points, gradient) for _ in range(self.draws)]

        def mean(name: str) -> Tensor:
            return torch.stack([getattr(one, name) for one in output]).mean(0)

        chances = torch.stack([one.logits.softmax(1) for one in output]).mean(0)
        # A chance that is rounded to 0 is a small one; one of a draw that is not finite is none.
        logits = chances.clamp_min(torch.finfo(chances.dtype).tiny).log()
        finite = torch.stack([all_finite(one.logits) for one in output]).all(0)
        logits = logits.masked_fill(~finite[:, None], torch.nan)
        is_adv = problem.loss.is_adv(logits, problem.targets) & problem.holds(points)
        return replace(
            output[0], value=mean("value"), gradient=mean("gradient"), logits=logits, is_adv=is_adv
        )
