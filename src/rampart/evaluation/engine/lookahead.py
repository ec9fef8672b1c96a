"""Queries of a random search that are asked before the answers to the earlier ones are known.

A random search keeps its best point until a query improves it, and most queries do not. So the
points of its next queries are known now, as long as none before them improves the best point. Free
rows of a batch hold such queries. The queries after the first improvement are not used, and the
run continues there, exactly as if it had asked one query after another.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rampart.attacks.algorithm import AlgorithmState, Output, Problem
from rampart.evaluation.engine.sample_state import rows_of


@dataclass(frozen=True)
class Lookahead:
    """The next queries of N runs, M in all.

    Attributes:
        counts: (N,) how many queries of each run are asked, at least 1.
        place: (M,) the run of each query, ascending.
        offset: (M,) how many of its queries come before it.
    """

    counts: Tensor
    place: Tensor
    offset: Tensor

    @classmethod
    def of(cls, ages: Tensor, spare: int, stops: Sequence[int]) -> "Lookahead":
        """Return the next query of each run, and up to `spare` further ones.

        Args:
            ages: (N,) steps made.
            spare: number of further queries.
            stops: the ages at which a run may be stopped, ascending; no query goes beyond the next.
        """
        steps, device = ages.tolist(), ages.device
        room = [stops[bisect_right(stops, age)] - age for age in steps]
        number = torch.tensor(share(spare, steps, room), device=device)
        place = torch.arange(len(ages), device=device).repeat_interleave(number)
        first = number.cumsum(0) - number
        return cls(number, place, torch.arange(len(place), device=device) - first[place])

    def advance(self, problem: Problem, state: AlgorithmState) -> tuple[Problem, Tensor]:
        """Return the problem and the points of all queries."""
        part, ahead = problem.select(self.place), rows_of(state, self.place)
        return part, replace(ahead, age=ahead.age + self.offset).advance(part)

    def used(self, state: AlgorithmState, output: Output) -> Tensor:
        """Return (N,), how many queries of each run come before its last one that is used.

        That is the first to improve the best point or to succeed, else the last one asked.
        """
        ends = (output.value > state.best_value[self.place]) | output.is_adv
        last = self.counts - 1
        at = torch.where(ends, self.offset, last[self.place])
        return last.scatter_reduce(0, self.place, at, "amin")

    def smallest(self, gap: Tensor, gaps: Tensor, used: Tensor) -> Tensor:
        """Return the (N,) smallest margins: so far `gap` (N,), and at the used queries."""
        seen = gaps.masked_fill(self.offset > used[self.place], torch.inf)
        return gap.scatter_reduce(0, self.place, seen, "amin")

    def rows(self, used: Tensor) -> Tensor:
        """Return (N,), the row of the last query that is used."""
        return self.counts.cumsum(0) - self.counts + used


def share(spare: int, ages: Sequence[int], room: Sequence[int]) -> list[int]:
    """Return how many queries to ask for each run: 1, and the spare ones one by one.

    Old runs come first, because their queries rarely improve anything.

    Args:
        spare: number of further queries.
        ages: (N,) steps made.
        room: (N,) largest number of queries of each run.
    """
    counts = [1] * len(ages)
    order = sorted(range(len(ages)), key=lambda row: -ages[row])
    while spare > 0 and (open_ := [row for row in order if counts[row] < room[row]]):
        for row in open_[:spare]:
            counts[row] += 1
        spare -= len(open_)
    return counts
