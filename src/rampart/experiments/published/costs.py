"""The cost of every condition: passes and seconds of its runs, beside fixed strength."""

from collections.abc import Sequence
from statistics import fmean

from rampart.experiments.published.conditions import Results
from rampart.experiments.published.tables import LABELS, labels_of
from rampart.experiments.search_budgets import SEARCH_COLUMN, spell_budgets
from rampart.reports.sheets import Sheet


def cost_sheet(results: Sequence[Results]) -> Sheet:
    """Return passes and seconds per run, and passes relative to fixed strength.

    If runs have the values of a search, a column has its budget.
    """
    finished = [one for one in results if one.runs]
    fixed = {
        labels_of(one.condition)[:3]: fmean(one.values("passes"))
        for one in finished
        if one.condition.schedule == "fix"
    }
    searched = any(one.searches for one in finished)
    rows = [
        (
            labels_of(one.condition),
            fmean(one.values("passes")),
            fmean(one.values("seconds")),
            fixed.get(labels_of(one.condition)[:3]),
            [spell_budgets(one.searches)] if searched else [],
        )
        for one in finished
    ]
    heads = (*LABELS, "passes", "relative to fix", "seconds", *([SEARCH_COLUMN] * searched))
    lines = tuple(
        (
            *labels,
            f"{passes:,.0f}",
            f"{passes / base:.2f}" if base else "",
            f"{seconds:,.0f}",
            *budgets,
        )
        for labels, passes, seconds, base, budgets in rows
    )
    exact = tuple(
        (
            *(*labels, round(passes), round(passes / base, 4) if base else ""),
            *(round(seconds, 1), *budgets),
        )
        for labels, passes, seconds, base, budgets in rows
    )
    return Sheet(
        "cost",
        "Cost: all forward and backward passes of a run, mean over the seeds",
        len(LABELS),
        (("", len(heads)),),
        heads,
        lines,
        (heads, *exact),
    )
