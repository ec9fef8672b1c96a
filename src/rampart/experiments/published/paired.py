"""Tests of every method against fixed strength over the pairs: the publication's table 9."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np

from rampart.experiments.published.conditions import Results
from rampart.experiments.published.counterparts import (
    PAIR_TABLES,
    counterpart_in,
    is_published_pair,
)
from rampart.experiments.study_table import MEASURES
from rampart.metrics.intervals import paired_test
from rampart.metrics.lead import Bracket, Lead, lead_between
from rampart.metrics.tasks import TaskTests, compare_over_tasks
from rampart.published import published_results

#: Values by (backbone, dataset).
ByPair = Mapping[tuple[str, str], float]
#: Fewest pairs of a test.
_LEAST = 2


@dataclass(frozen=True)
class Comparison:
    """A method minus a reference in one measure at one strength, over pairs.

    Attributes:
        eps: target strength.
        over: the pairs: those of the publication, or the others of the study.
        method, reference: names.
        measure: "clean", "adversarial" or "expected".
        ours: over the pairs that both have finished; None below two pairs.
        published: of the published figures, over the same pairs; None without them.
        published_all: of the published figures, over all their pairs; None without them.
        lead: the same difference as `ours` in expected robustness, with bounds for any curve
            between the strengths; None for other measures, or without bounds.
    """

    eps: float
    over: str
    method: str
    reference: str
    measure: str
    ours: TaskTests | None
    published: TaskTests | None
    published_all: TaskTests | None
    lead: Lead | None = None


def comparisons(results: Sequence[Results], references: Collection[str] = ()) -> list[Comparison]:
    """Compare every method with every reference, strength by strength.

    Args:
        results: of the study; the mean over the seeds stands for a condition.
        references: names of methods, for a study without a method of fixed strength; such methods
            are the references where there are any.

    The pairs of the publication and others, such as those of robust backbones, are tested apart.
    """
    usual = [one for one in results if is_published_pair(one.condition)]
    others = [one for one in results if not is_published_pair(one.condition)]
    return [
        *_comparisons(usual, references, "published pairs"),
        *_comparisons(others, references, "other pairs"),
    ]


def _comparisons(
    results: Sequence[Results], references: Collection[str], over: str
) -> Iterator[Comparison]:
    conditions = [one.condition for one in results]
    fixed = dict.fromkeys(one.method for one in conditions if one.schedule == "fix")
    known = list(fixed or references)
    methods = list(dict.fromkeys(one.method for one in conditions))
    planned = {(one.eps, one.method) for one in conditions}
    for eps, reference, method in product(sorted({eps for eps, _ in planned}), methods, methods):
        # Of two references the first one in the study is that of the other.
        chosen = reference in known and method not in known[: known.index(reference) + 1]
        if not chosen or not {(eps, reference), (eps, method)} <= planned:
            continue
        for measure in MEASURES:
            first, second = (_ours(results, eps, one, measure) for one in (method, reference))
            theirs = [_published(results, eps, one, measure) for one in (method, reference)]
            shared = set(first) & set(second)
            yield Comparison(
                eps,
                over,
                method,
                reference,
                measure,
                _test(first, second),
                _test(*({pair: one[pair] for pair in shared & set(one)} for one in theirs)),
                _test(*theirs),
                _lead(results, eps, method, reference) if measure == "expected" else None,
            )


def _ours(results: Sequence[Results], eps: float, method: str, measure: str) -> ByPair:
    return {
        (one.condition.backbone, one.condition.dataset): fmean(one.values(measure))
        for one in results
        if (one.condition.eps, one.condition.method) == (eps, method) and one.runs
    }


def _published(results: Sequence[Results], eps: float, method: str, measure: str) -> ByPair:
    """All published values of the schedule that a method follows; none if it follows none."""
    found = (
        counterpart_in(one.condition, PAIR_TABLES)
        for one in results
        if (one.condition.eps, one.condition.method) == (eps, method)
    )
    example = next((row for row in found if row), None)
    if example is None:
        return {}
    return {
        (row.backbone, row.dataset): getattr(row, measure)
        for row in published_results()
        if (row.table, row.schedule) == (example.table, example.schedule)
    }


def _lead(results: Sequence[Results], eps: float, method: str, reference: str) -> Lead | None:
    """The lead over the pairs that both have; None if they are too few or lack bounds."""
    ours, theirs = (_brackets(results, eps, name) for name in (method, reference))
    pairs = sorted(set(ours) & set(theirs))
    if len(pairs) < _LEAST:
        return None
    first, second = (Bracket(*np.array([one[p] for p in pairs]).T) for one in (ours, theirs))
    return lead_between(first, second, paired_test)


def _brackets(
    results: Sequence[Results], eps: float, method: str
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """By pair, expected robustness between its bounds, as means over the seeds."""
    found = {}
    for one in results:
        chosen = (one.condition.eps, one.condition.method) == (eps, method) and one.runs
        ends = [
            (run.figures.expected_least, run.figures.expected, run.figures.expected_most)
            for run in one.runs
        ]
        known = [(a, b, c) for a, b, c in ends if a is not None and c is not None]
        if chosen and len(known) == len(ends):
            low, value, high = (fmean(part) for part in zip(*known, strict=True))
            found[one.condition.backbone, one.condition.dataset] = (low, value, high)
    return found


def _test(first: ByPair, second: ByPair) -> TaskTests | None:
    """The tests over the pairs that both have; None if they are too few."""
    pairs = sorted(set(first) & set(second))
    if len(pairs) < _LEAST:
        return None
    return compare_over_tasks([first[pair] for pair in pairs], [second[pair] for pair in pairs])
