"""Whether pruning has changed results, and which samples are attacked in full in the end.

Two observations lead to an escalation. First, samples that the recheck draws are attacked in full;
if that lowers more of them than its looks allow, pruning has hidden adversarial examples. Second,
FAB and Square find almost nothing after gradient ascent on most networks; if they do lower critical
strengths, gradients mislead and pruning cannot be trusted. Then every sample that gave a run up is
attacked in full, and the results are those of exact mode.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from rampart.attacks.stages import Stage
from rampart.counting import counted
from rampart.evaluation.recheck import Plan
from rampart.evaluation.results import Booleans, Results
from rampart.metrics.curve import Integers

#: Largest fraction and number of samples whose critical strength FAB or Square may set.
SENTINEL_TOLERANCE, SENTINEL_ALLOWED = 0.01, 1


@dataclass(frozen=True)
class Pruning:
    """The effect of pruning.

    Attributes:
        gave_up: number of samples that gave a run up.
        rechecked: how many of those were attacked in full.
        lowered: how many of these got a smaller critical strength.
        sentinel: number of samples lowered by FAB or Square, which use no gradient ascent.
        pruned: number of samples with pruned runs that were not attacked in full.
        excluded: an error above this is excluded at 95 %: of expected robustness, and of accuracy
            at the largest strength. 0 if `pruned` is 0.
        escalated: why every sample that gave a run up was attacked in full; "" otherwise.
    """

    gave_up: int
    rechecked: int
    lowered: int
    sentinel: int
    pruned: int
    excluded: float
    escalated: str

    def figures(self) -> dict[str, Any]:
        """Return plain values for a record."""
        return asdict(self)


def recheck(
    fast: Results,
    plan: Plan,
    grid: Sequence[float],
    seed: int,
    stages: Sequence[Stage],
    in_full: Callable[[Booleans], Results],
) -> tuple[Results, Pruning]:
    """Attack as many samples in full as the plan asks for; return the results and the effect.

    Args:
        fast: results of a pass with pruning, one row per sample.
        plan: what the recheck has to exclude.
        grid, seed, stages: of the evaluation.
        in_full: returns the results of some samples, (N,) bool, attacked without pruning.
    """
    why, whole = alarm(fast, stages), fast
    for allowed, drawn in enumerate(() if why else plan.draws(fast, grid, seed)):
        whole = merge(fast, in_full(drawn))
        found = effect(fast, whole, stages, plan.largest_error)
        if found.lowered <= allowed:
            return whole, found
        why = (
            f"attacking samples in full lowered {found.lowered} of {found.rechecked} that were "
            "rechecked"
        )
    whole = merge(fast, in_full(affected(fast)))
    return whole, effect(fast, whole, stages, plan.largest_error, why)


def effect(
    fast: Results, whole: Results, stages: Sequence[Stage], size: float, escalated: str = ""
) -> Pruning:
    """Return the effect of pruning; `size` is the error that is excluded where runs are pruned."""
    left = int(affected(whole).sum())
    return Pruning(
        gave_up=int(affected(fast).sum()),
        rechecked=int(whole.rechecked.sum()),
        lowered=int((whole.critical < whole.before_recheck).sum()),
        sentinel=_count_late(fast, stages),
        pruned=left,
        excluded=size if left else 0.0,
        escalated=escalated if affected(fast).any() else "",
    )


def alarm(fast: Results, stages: Sequence[Stage]) -> str:
    """Return why pruning cannot be trusted before any recheck; "" if it can."""
    late = _count_late(fast, stages)
    if late <= max(SENTINEL_TOLERANCE * len(fast), SENTINEL_ALLOWED):
        return ""
    return f"FAB or Square lowered {late} of {counted(len(fast), 'sample')}"


def affected(results: Results) -> Booleans:
    """Return (N,) bool: whether a sample has pruned runs and was not attacked in full."""
    return results.pruned > 0


def merge(fast: Results, full: Results) -> Results:
    """Return one row per sample, with the passes of both parts.

    An adversarial example stays valid, so the smaller critical strength counts.
    """
    both = Results.concatenate([fast, full])
    latest = both.select(np.argsort(-both.critical, kind="stable")).latest()
    place = np.searchsorted(latest.indices, both.indices)

    def total(passes: Integers) -> Integers:
        return np.bincount(place, passes, len(latest)).astype(np.int64)

    rechecked = np.isin(latest.indices, full.indices)
    return replace(
        latest,
        forwards=total(both.forwards),
        backwards=total(both.backwards),
        pruned=np.where(rechecked, 0, latest.pruned),
        rechecked=rechecked,
        before_recheck=fast.sorted().critical,
    )


def _count_late(results: Results, stages: Sequence[Stage]) -> int:
    late = list(range(_after_ascent(stages), len(stages)))
    return int(np.isin(results.stage, late).sum())


def _is_sentinel(stage: Stage) -> bool:
    return stage.algorithm.minimum_norm or not stage.algorithm.gradient


def _after_ascent(stages: Sequence[Stage]) -> int:
    """Return the index after the last stage of gradient ascent."""
    ascents = [number for number, stage in enumerate(stages) if not _is_sentinel(stage)]
    return ascents[-1] + 1 if ascents else len(stages)
