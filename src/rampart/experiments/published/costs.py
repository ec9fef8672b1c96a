"""The cost of every condition: passes and seconds of training, beside fixed strength."""

from collections.abc import Sequence
from statistics import fmean

from rampart.experiments.published.conditions import Results
from rampart.experiments.published.tables import LABELS, labels_of
from rampart.reports.sheets import Sheet


def cost_sheet(results: Sequence[Results]) -> Sheet:
    """Return passes and seconds of training per run, and passes relative to fixed strength."""
    finished = [one for one in results if one.runs]
    fixed = {
        labels_of(one.condition)[:3]: fmean(one.values("passes"))
        for one in finished
        if one.condition.schedule == "fix"
    }
    rows = [
        (
            labels_of(one.condition),
            fmean(one.values("passes")),
            fmean(one.values("seconds")),
            fixed.get(labels_of(one.condition)[:3]),
        )
        for one in finished
    ]
    heads = (*LABELS, "passes", "relative to fix", "seconds")
    lines = tuple(
        (
            *labels,
            f"{passes:,.0f}",
            f"{passes / base:.2f}" if base else "",
            f"{seconds:,.0f}",
        )
        for labels, passes, seconds, base in rows
    )
    exact = tuple(
        (*labels, round(passes), round(passes / base, 4) if base else "", round(seconds, 1))
        for labels, passes, seconds, base in rows
    )
    return Sheet(
        "cost",
        "Cost: forward and backward passes of training, mean over the seeds",
        len(LABELS),
        (("", len(heads)),),
        heads,
        lines,
        (heads, *exact),
    )
