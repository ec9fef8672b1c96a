"""Whether pruning has changed results, and which samples have to repeat their pruned runs.

Two observations lead to an escalation. First, rechecked samples repeat their pruned runs in full;
if that lowers a critical strength, pruning has hidden an adversarial example. Second, FAB and
Square find almost nothing after gradient ascent on most networks; if they do lower critical
strengths, gradients mislead and pruning cannot be trusted. If either exceeds its tolerance, every
sample with pruned runs repeats them in full.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rampart.attacks.stages import Stage
from rampart.counting import counted
from rampart.evaluation.results import Booleans, Results

#: Fraction of the samples that are rechecked.
RECHECK_FRACTION = 0.05
#: Smallest expected number of rechecked samples in a small evaluation.
MIN_RECHECKED = 6
#: Largest fraction of rechecked samples whose critical strength the full runs may lower.
RECHECK_TOLERANCE = 0.003
#: Largest fraction of samples whose critical strength FAB or Square may set.
SENTINEL_TOLERANCE = 0.01


@dataclass(frozen=True)
class Pruning:
    """The effect of pruning.

    Attributes:
        rechecked: number of samples that repeated their pruned runs in full.
        lowered: how many of those got a smaller critical strength.
        sentinel: number of samples lowered by FAB or Square, which use no gradient ascent.
        pruned: number of samples with pruned runs that were not repeated.
        escalated: why these runs have to be repeated; "" if they need not be.
    """

    rechecked: int
    lowered: int
    sentinel: int
    pruned: int
    escalated: str

    def figures(self) -> dict[str, Any]:
        """Return plain values for a record."""
        return asdict(self)


def recheck_fraction(n: int) -> float:
    """Return the fraction of n samples to recheck."""
    return min(1.0, max(RECHECK_FRACTION, MIN_RECHECKED / n)) if n else 0.0


def judge(results: Results, stages: Sequence[Stage]) -> Pruning:
    """Return the effect of pruning, and whether to escalate."""
    lowered = int((results.critical < results.before_recheck).sum())
    rechecked = int(results.rechecked.sum())
    late = range(_after_ascent(stages), len(stages))
    sentinel = int(np.isin(results.stage, list(late)).sum())
    reasons = []
    if lowered > RECHECK_TOLERANCE * rechecked:
        reasons.append(f"repeating pruned runs lowered {lowered} of {rechecked} rechecked samples")
    if sentinel > SENTINEL_TOLERANCE * len(results):
        reasons.append(f"FAB or Square lowered {sentinel} of {counted(len(results), 'sample')}")
    return Pruning(rechecked, lowered, sentinel, int(affected(results).sum()), "; ".join(reasons))


def affected(results: Results) -> Booleans:
    """Return (N,) bool: whether a sample has pruned runs that were not repeated."""
    return results.pruned > 0


def _is_sentinel(stage: Stage) -> bool:
    return stage.algorithm.minimum_norm or not stage.algorithm.gradient


def _after_ascent(stages: Sequence[Stage]) -> int:
    """Return the index after the last stage of gradient ascent."""
    ascents = [number for number, stage in enumerate(stages) if not _is_sentinel(stage)]
    return ascents[-1] + 1 if ascents else len(stages)
