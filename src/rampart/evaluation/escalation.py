"""Whether giving runs up has cost anything, and for which samples it is to be undone.

Two alarms. The rechecked samples repeat in full what they gave up: if that lowers one, pruning has
hidden a break. And on a healthy network the stages after the gradient ones find nothing that those
had missed: if FAB or Square lower samples while their runs are given up early, gradients mislead.
Either beyond its tolerance, and every sample that gave a run up repeats it in full.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rampart.attacks.stages import Stage
from rampart.evaluation.results import Booleans, Results

#: Fraction of the samples that are rechecked.
RECHECK_FRACTION = 0.05
#: So many are rechecked at least, on average, where the evaluation is small.
MIN_RECHECKED = 6
#: Largest fraction of rechecked samples that the full runs may lower.
RECHECK_TOLERANCE = 0.003
#: Largest fraction of samples that FAB or Square may lower.
SENTINEL_TOLERANCE = 0.01


@dataclass(frozen=True)
class Pruning:
    """What giving up did.

    Attributes:
        rechecked: samples that repeated in full what they gave up.
        lowered: how many of them that lowered.
        sentinel: samples lowered by a stage that needs no gradient ascent, FAB or Square.
        pruned: samples with runs that were given up and not repeated.
        escalated: why all of these had to be; "" where there was no need.
    """

    rechecked: int
    lowered: int
    sentinel: int
    pruned: int
    escalated: str

    def figures(self) -> dict[str, Any]:
        """Plain values for a record."""
        return asdict(self)


def recheck_fraction(n: int) -> float:
    """Return the fraction of n samples to audit."""
    return min(1.0, max(RECHECK_FRACTION, MIN_RECHECKED / n)) if n else 0.0


def judge(results: Results, stages: Sequence[Stage]) -> Pruning:
    """Return what giving up did, and whether it is to be undone."""
    lowered = int((results.critical < results.before_recheck).sum())
    rechecked = int(results.rechecked.sum())
    late = range(_after_ascent(stages), len(stages))
    sentinel = int(np.isin(results.stage, list(late)).sum())
    reasons = []
    if lowered > RECHECK_TOLERANCE * rechecked:
        reasons.append(
            f"{lowered} of {rechecked} rechecked samples were misclassified at a smaller strength"
        )
    if sentinel > SENTINEL_TOLERANCE * len(results):
        reasons.append(f"FAB or Square lowered {sentinel} of {len(results)} samples")
    return Pruning(rechecked, lowered, sentinel, int(affected(results).sum()), "; ".join(reasons))


def affected(results: Results) -> Booleans:
    """Return (N,) whether a sample gave runs up and did not repeat them."""
    return results.pruned > 0


def _is_sentinel(stage: Stage) -> bool:
    return stage.algorithm.minimum_norm or not stage.algorithm.gradient


def _after_ascent(stages: Sequence[Stage]) -> int:
    """The place behind the last stage of gradient ascent: what follows finds what that missed."""
    ascents = [number for number, stage in enumerate(stages) if not _is_sentinel(stage)]
    return ascents[-1] + 1 if ascents else len(stages)
