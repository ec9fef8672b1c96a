"""The published figures that belong to a condition of a study."""

from collections.abc import Iterable

from rampart.experiments.published.conditions import Condition
from rampart.published import PublishedResult, published_results

#: T1 and T2 of the two-hinge schedule wherever a table does not state them.
USUAL = (12, 37)
#: The tables that hold every pair of a backbone and a dataset.
PAIR_TABLES = (1, 2)
#: Epochs of 50 within which times are equal: a quarter of a run is 12.5 epochs.
_TOLERANCE = 0.5


def counterparts(condition: Condition) -> tuple[PublishedResult, ...]:
    """Return the published rows of a condition, at most one per table."""
    return tuple(row for row in published_results() if is_counterpart(row, condition))


def counterpart_in(condition: Condition, tables: Iterable[int]) -> PublishedResult | None:
    """Return the published row of a condition in one of these tables."""
    wanted = set(tables)
    return next((row for row in counterparts(condition) if row.table in wanted), None)


def is_counterpart(row: PublishedResult, condition: Condition) -> bool:
    """Whether a published row belongs to a condition."""
    same = (row.backbone, row.dataset, row.attack) == (
        condition.backbone,
        condition.dataset,
        condition.attack,
    )
    return same and abs(row.eps - condition.eps) < 1e-9 and _same_schedule(row, condition)


def _same_schedule(row: PublishedResult, condition: Condition) -> bool:
    if row.schedule != "two-hinge":
        return row.schedule == condition.schedule
    if condition.start is None or condition.end is None:
        return False
    start, end = USUAL if row.start is None or row.end is None else (row.start, row.end)
    return abs(condition.start - start) <= _TOLERANCE and abs(condition.end - end) <= _TOLERANCE


def is_published_pair(condition: Condition) -> bool:
    """Whether backbone and dataset are a pair of tables 1 and 2."""
    return any(
        (row.backbone, row.dataset) == (condition.backbone, condition.dataset)
        for row in published_results()
        if row.table in PAIR_TABLES
    )


def condition_of_row(row: PublishedResult) -> Condition:
    """Return the condition of a published row, named as a study would name it."""
    start, end, method = row.start, row.end, row.schedule
    if row.schedule == "fix":
        start, end = 0, 0
    if row.schedule == "two-hinge":
        start, end = USUAL if start is None or end is None else (start, end)
        method = row.schedule if row.start is None else f"T1 = {start}, T2 = {end}"
    return Condition(
        row.backbone, row.dataset, row.eps, method, row.schedule, start, end, row.attack
    )
