"""Running an algorithm to its end at one strength, with early exit and restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rampart.attacks.algorithm import Algorithm, Found, Iterate, Output, Problem, rows
from rampart.deferred import torch
from rampart.losses import full_precision

if TYPE_CHECKING:
    from torch import Tensor


def run_algorithm(problem: Problem, algorithm: Algorithm, iterate: Iterate) -> Found:
    """Run an algorithm to its end; gradient ascent costs steps + 1 forwards and `steps` backwards.

    With "adversarial", a sample leaves the batch at its first adversarial iterate, the start
    included; this changes no other sample. A minimum-norm algorithm succeeds where its best point
    is misclassified and within eps.

    Args:
        problem: the samples.
        algorithm: the method.
        iterate: "best" or "adversarial".
    """
    if algorithm.minimum_norm:
        return _run_minimum_norm(problem, algorithm, iterate)
    tally = Tally(problem)
    points = algorithm.start(problem)
    output = algorithm.query(problem, points)
    state = algorithm.begin(problem, points, output)
    for left in reversed(range(algorithm.count_queries(problem.norm))):
        if iterate == "adversarial" and len(stay := tally.retire(points, output)) < len(problem):
            problem, state = problem.select(stay), rows(state, stay)
        if not left or not len(problem):
            break
        points = state.advance(problem)
        # The last query needs no gradient: no step follows.
        output = algorithm.query(problem, points, gradient=left > 1)
        state = state.observe(problem, points, output)
    return tally.close(state.best, state.best_value)


def _run_minimum_norm(problem: Problem, algorithm: Algorithm, iterate: Iterate) -> Found:
    """Find the nearest adversarial point; the best value is the negated distance."""
    tally = Tally(problem)
    points = algorithm.start(problem)
    state = algorithm.begin(problem, points, algorithm.query(problem, points))
    while len(problem):
        near = -state.best_value <= problem.eps
        over = (state.age >= algorithm.steps) | (near & (iterate == "adversarial"))
        out, stay = over.nonzero()[:, 0], (~over).nonzero()[:, 0]
        if len(out):
            tally.leave(out, stay, Found(state.best, state.best_value, near))
            problem, state = problem.select(stay), rows(state, stay)
        else:
            points = state.advance(problem)
            state = state.observe(problem, points, algorithm.query(problem, points))
    return tally.close(state.best, state.best_value)


class Tally:
    """The results of a batch whose samples finish at different times."""

    def __init__(self, problem: Problem) -> None:
        images = problem.images
        self._rows = torch.arange(len(images), device=images.device)
        self._found = Found(
            torch.empty_like(images),
            torch.empty(len(images), device=images.device, dtype=full_precision(images).dtype),
            torch.zeros(len(images), device=images.device, dtype=torch.bool),
        )

    def retire(self, points: Tensor, output: Output) -> Tensor:
        """Record the samples that are adversarial at `points`; return the other positions."""
        out, stay = output.is_adv.nonzero()[:, 0], (~output.is_adv).nonzero()[:, 0]
        if len(out):
            self.leave(out, stay, Found(points, output.value, output.is_adv))
        return stay

    def leave(self, out: Tensor, stay: Tensor, found: Found) -> None:
        """Record the samples at the positions `out` of the batch; those at `stay` continue."""
        index = self._rows[out]
        self._write(index, found.points[out], found.value[out])
        self._found.is_adv[index] = found.is_adv[out]
        self._rows = self._rows[stay]

    def close(self, points: Tensor, value: Tensor) -> Found:
        """Record the remaining samples; return the results of all."""
        self._write(self._rows, points, value)
        return self._found

    def _write(self, index: Tensor, points: Tensor, value: Tensor) -> None:
        self._found.points[index] = points
        self._found.value[index] = value.to(self._found.value.dtype)


def with_restarts(
    algorithm: Algorithm, problem: Problem, restarts: int, iterate: Iterate
) -> Tensor:
    """Return the best points of several runs; with "adversarial" only robust samples restart."""
    found = run_algorithm(problem, algorithm, iterate)
    for number in range(1, restarts):
        if iterate == "adversarial":
            index = (~found.is_adv).nonzero()[:, 0]
            if not len(index):
                break
        else:
            index = torch.arange(len(found.is_adv), device=found.is_adv.device)
        again = run_algorithm(
            problem.restart(number).select(index), algorithm.restart(number), iterate
        )
        found = found.improve(index, again)
    return found.points
