"""Expected robustness as a headline shows it: with its interval and, where wider, its bounds."""

from collections.abc import Mapping
from typing import Any

from rampart.reports.percent import number


def spell_expected(facts: Mapping[str, Any]) -> str:
    """Return "expected 40.0 % [38.1, 41.9]", with bounds where they reach beyond the interval.

    The interval covers the choice of images only. The bounds cover the shape of the curve between
    the strengths of the grid, where accuracy may fall at once or at the end.

    Args:
        facts: a summary (`rampart.records.summary`).
    """
    low, high, bounds = facts["expected_low"], facts["expected_high"], facts["expected_bounds"]
    text = f"expected {number(facts['expected'])} % [{number(low)}, {number(high)}]"
    if low <= bounds["low"] and bounds["high"] <= high:
        return text
    ends = f"{number(bounds['low'])} to {number(bounds['high'])} %"
    return f"{text}, bounds {ends}"
