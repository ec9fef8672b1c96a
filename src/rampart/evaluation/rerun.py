"""A check of the engine: it attacks some samples at each strength alone, with other noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rampart.attacks.base import Attack
from rampart.attacks.frozen import Model
from rampart.data.splits import Split
from rampart.data.subset import numbers_of, subset
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.partial_results import PartialResults
from rampart.evaluation.results import Booleans, Results
from rampart.evaluation.whole import Processes, evaluate_split
from rampart.metrics.curve import Integers
from rampart.progress.work import watched
from rampart.runtime import derive

#: Phases of partial results below this number belong to the evaluation itself.
FIRST_PHASE = 10


@dataclass(frozen=True)
class Rerun:
    """The results of independent runs on some samples.

    Attributes:
        rows: (M,) rows of the results that were attacked again.
        robust: (n, M) bool, whether each is robust in the run at strength k = 1..n alone.
        claimed: (n, M) bool, whether it is robust there according to the results.
        passes: forwards and backwards of the independent runs.
    """

    rows: Integers
    robust: Booleans
    claimed: Booleans
    passes: int

    def figures(self, grid: Sequence[float]) -> dict[str, Any]:
        """Return plain values for a record: both accuracies and conflicts at each strength."""
        return {
            "n": len(self.rows),
            "passes": self.passes,
            "strengths": [
                {
                    "eps": eps,
                    "accuracy": float(claimed.mean()),
                    "alone": float(alone.mean()),
                    "only_engine_found": int((alone & ~claimed).sum()),
                    "only_alone_found": int((claimed & ~alone).sum()),
                }
                for eps, alone, claimed in zip(grid[1:], self.robust, self.claimed, strict=True)
            ],
        }


def rerun(
    model: Model,
    split: Split,
    attack: Attack,
    grid: Sequence[float],
    seed: int,
    results: Results,
    n: int,
    *,
    batch_size: int = 128,
    criterion: Criterion | None = None,
    partial_results: PartialResults | None = None,
    processes: Processes | None = None,
) -> Rerun:
    """Run the attack at each strength alone on `n` random samples, with other noise.

    Args:
        model, split, attack, grid, batch_size, criterion, partial_results, processes: as in the
            evaluation.
        seed: seed of the evaluation; the independent runs derive another one from it.
        results: results of the evaluation, one row per sample of the split.
        n: number of samples; all if the split has fewer.
    """
    part = subset(split, limit=min(n, len(split)), seed=derive(seed, "audited samples"))
    rows = np.flatnonzero(np.isin(results.indices, numbers_of(part)))
    robust, passes = [], 0
    strengths = list(enumerate(grid[1:], start=1))
    for grid_index, eps in watched(strengths, "each strength alone", len(strengths), "strength"):
        alone = evaluate_split(
            model,
            part,
            attack,
            (0.0, eps),
            derive(seed, "audit", grid_index),
            mode="exact",
            batch_size=batch_size,
            criterion=criterion,
            partial_results=partial_results,
            phase=FIRST_PHASE + grid_index,
            processes=processes,
        ).results
        robust.append(alone.critical > 1)
        passes += alone.forwards_total + alone.backwards_total
    claimed = [results.critical[rows] > grid_index for grid_index in range(1, len(grid))]
    return Rerun(rows, np.array(robust), np.array(claimed), passes)
