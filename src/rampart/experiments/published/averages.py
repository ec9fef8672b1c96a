"""Averages over datasets and over backbones: the publication's tables 10 and 11.

The file of published figures has no rows of these tables; they follow from those of tables 1 and 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from rampart.experiments.published.conditions import Results
from rampart.experiments.published.counterparts import (
    PAIR_TABLES,
    condition_of_row,
    counterpart_in,
    is_published_pair,
)
from rampart.experiments.published.tables import Compared, ComparedTable, Line
from rampart.experiments.study_table import MEASURES
from rampart.published import PublishedResult, published_results
from rampart.units import format_eps

Kept = Literal["backbone", "dataset"]
#: The label of the average over all pairs.
ALL = "all"


@dataclass(frozen=True)
class _Pair:
    """One pair of a backbone and a dataset: ours, the published row, or both."""

    ours: Results | None
    row: PublishedResult | None


def average_tables(results: Sequence[Results]) -> list[ComparedTable]:
    """Return tables 10 and 11; none if the study has no condition of tables 1 and 2.

    They cover the pairs of these tables, and no other backbones and datasets of the study.
    A line compares averages over the same pairs: those that the study has finished. The published
    average covers all its pairs where the study has finished none.
    """
    results = [one for one in results if is_published_pair(one.condition)]
    if not any(counterpart_in(one.condition, PAIR_TABLES) for one in results):
        return []
    return [
        _table(results, "table-10", "Table 10: averages over the datasets", "backbone"),
        _table(results, "table-11", "Table 11: averages over the backbones", "dataset"),
    ]


def _table(results: Sequence[Results], name: str, title: str, kept: Kept) -> ComparedTable:
    groups: dict[tuple[float, str, str], list[_Pair]] = {}
    for pair, eps, method, label in _pairs(results, kept):
        groups.setdefault((eps, label, method), []).append(pair)
        groups.setdefault((eps, ALL, method), []).append(pair)
    ordered = sorted(groups.items(), key=lambda one: (one[0][0], one[0][1] == ALL))
    lines = (
        _line((format_eps(eps), label, method), _comparable(group))
        for (eps, label, method), group in ordered
    )
    return ComparedTable(name, title, ("eps", kept, "method"), tuple(lines))


def _pairs(results: Sequence[Results], kept: Kept) -> list[tuple[_Pair, float, str, str]]:
    """Every pair with its strength, its method and the label that the average keeps.

    Published pairs that the study lacks come first under each method that has a counterpart.
    """
    rows = [row for row in published_results() if row.table in PAIR_TABLES]
    known = [(one, counterpart_in(one.condition, PAIR_TABLES)) for one in results]
    methods: dict[str, list[str]] = {}
    for one, row in known:
        if row and one.condition.method not in methods.setdefault(row.schedule, []):
            methods[row.schedule].append(one.condition.method)
    pairs = []
    for row in rows:
        ours = {one.condition.method: one for one, found in known if found == row}
        for method in methods.get(row.schedule, [condition_of_row(row).method]):
            pair = _Pair(ours.get(method), row)
            pairs.append((pair, row.eps, method, getattr(row, kept)))
    for one, found in known:
        if found is None:
            condition = one.condition
            label = getattr(condition, kept)
            pairs.append((_Pair(one, None), condition.eps, condition.method, label))
    return pairs


def _comparable(group: Sequence[_Pair]) -> list[_Pair]:
    """The pairs with published figures, if there are any: the averages are over the same pairs."""
    return [pair for pair in group if pair.row] or list(group)


def _line(labels: tuple[str, ...], group: Sequence[_Pair]) -> Line:
    finished = [pair for pair in group if pair.ours and pair.ours.runs]
    figures: dict[str, Compared] = {
        measure: Compared(
            _averages([pair.ours for pair in finished if pair.ours], measure),
            _published_average(finished or group, measure),
        )
        for measure in MEASURES
    }
    lacking = len(group) - len(finished)
    return Line(labels, figures, f"{lacking} of {len(group)} pairs" if lacking else "")


def _averages(results: Sequence[Results], measure: str) -> tuple[float, ...]:
    """The average of each seed that all pairs have; without one, the average of the means."""
    by_seed = [one.by_seed(measure) for one in results]
    if not by_seed:
        return ()
    shared = set.intersection(*(set(one) for one in by_seed))
    if shared and all(len(one) == len(shared) for one in by_seed):
        return tuple(fmean(one[seed] for one in by_seed) for seed in sorted(shared))
    return (fmean(fmean(one.values()) for one in by_seed),)


def _published_average(group: Sequence[_Pair], measure: str) -> float | None:
    values = [getattr(pair.row, measure) for pair in group if pair.row]
    return fmean(values) if len(values) == len(group) and values else None
