"""The lead of one method of a comparison over another: decided, perhaps chance, or undecided."""

from collections.abc import Sequence

import numpy as np

from rampart.metrics.curve import Floats
from rampart.metrics.intervals import LEAST_SEEDS, Interval, paired_test
from rampart.metrics.lead import Bracket, lead_between
from rampart.reports.grids import undecided
from rampart.reports.tables import Row


def doubt(best: Row, second: Row, rows: Sequence[Row]) -> str:
    """Return why the lead in expected robustness is not certain; empty if it is.

    The lead is certain if its interval excludes 0 for every curve between the strengths
    (`metrics.lead`). The interval is that of the paired t-test if `LEAST_SEEDS` seeds are shared;
    otherwise the intervals of the two methods must not overlap.

    Args:
        best: a method from `tables.aggregate`.
        second: another one, with a lower expected robustness.
        rows: the rows of `tables.comparison_rows` behind both.

    Returns:
        A part of a sentence: "may be chance (...)" or "is undecided by the grid (...)".
    """
    ours, theirs = (
        {row["seed"]: row for row in rows if row["method"] == method["method"]}
        for method in (best, second)
    )
    shared = [seed for seed in ours if seed in theirs]
    if len(shared) >= LEAST_SEEDS:
        pair = [_bracket([own[seed] for seed in shared]) for own in (ours, theirs)]
        found = lead_between(pair[0], pair[1], paired_test)
        test = paired_test(pair[0].value, pair[1].value)
        chance = f"p = {test.p:.2f}, {test.n} paired seeds"
    elif "values" in (best["interval"], second["interval"]):
        return "may be chance (too few seeds for an interval)"
    else:
        margins = (
            best["expected"] - best["expected_low"] + second["expected_high"] - second["expected"],
            best["expected_high"] - best["expected"] + second["expected"] - second["expected_low"],
        )
        found = lead_between(
            _bracket([best]), _bracket([second]), lambda a, b: _with_margins(a, b, margins)
        )
        chance = "the two intervals overlap"
    if found.verdict == "chance":
        return f"may be chance ({chance})"
    grids = [[point["eps"] for point in row["curve"]] for row in (*ours.values(), *theirs.values())]
    grid = grids[0] if all(one == grids[0] for one in grids) else []
    return f"is {undecided(found, grid, best['norm'])}" if found.verdict == "grid" else ""


def _bracket(rows: Sequence[Row]) -> Bracket:
    """Expected robustness of each row, with its bounds."""
    return Bracket(
        np.array([row["expected_bounds"]["low"] for row in rows]),
        np.array([row["expected"] for row in rows]),
        np.array([row["expected_bounds"]["high"] for row in rows]),
    )


def _with_margins(first: Floats, second: Floats, margins: tuple[float, float]) -> Interval:
    difference = float((first - second).mean())
    return Interval(difference - margins[0], difference + margins[1])
