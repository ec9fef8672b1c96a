"""Figures over several seeds, as the text of a cell."""

from collections.abc import Iterable, Sequence

import numpy as np

from rampart.metrics.intervals import CONFIDENCE, LEAST_SEEDS, paired_test, spread_over_seeds
from rampart.metrics.lead import Bracket, lead_between
from rampart.reports.grids import spell_bounds
from rampart.reports.percent import number


def spell_seeds(values: Sequence[float], confidence: float = CONFIDENCE) -> str:
    """Return fractions over seeds in percent: their mean with Student's interval.

    Below three seeds these are the values themselves. An interval that is cut at 0 or 100 % has no
    half width, so its ends are shown.

    Example:
        >>> spell_seeds([0.2, 0.25, 0.3]), spell_seeds([0.01, 0.02, 0.06]), spell_seeds([0, 0.2])
        ('25.0 ± 12.4', '3.0 [0.0, 9.6]', '0.0, 20.0')
    """
    if len(values) < LEAST_SEEDS:
        return ", ".join(number(value) for value in values)
    mean, interval = sum(values) / len(values), spread_over_seeds(values, confidence)
    cut = min(values) < max(values) and (interval.low == 0 or interval.high == 1)
    if cut:
        return f"{number(mean)} [{number(interval.low)}, {number(interval.high)}]"
    return f"{number(mean)} ± {50 * (interval.high - interval.low):.1f}"


def spell_spread(counts: Iterable[int]) -> str:
    """Return what a line or band is that shows the spread over each of these numbers of seeds.

    Example:
        >>> spell_spread([3, 3, 1]), spell_spread([2, 1]), spell_spread([3, 2])
        ('95 % interval', 'range', '95 % interval, or range of two seeds')
    """
    kinds = {count >= LEAST_SEEDS for count in counts if count > 1}
    if kinds == {True, False}:
        return "95 % interval, or range of two seeds"
    return "95 % interval" if True in kinds else "range"


def spell_seed_differences(first: Sequence[float], second: Sequence[float]) -> str:
    """Return first - second in points, paired by seed: their mean with its interval and p-value.

    Below three pairs these are the differences themselves; without a pair the text is empty.
    """
    if len(first) < LEAST_SEEDS:
        pairs = zip(first, second, strict=True)
        return ", ".join(f"{100 * (a - b):+.1f}" for a, b in pairs)
    test = paired_test(first, second)
    span = f"[{100 * test.low:+.1f}, {100 * test.high:+.1f}]"
    return f"{100 * test.difference:+.1f} {span}, p = {test.p:.2g}"


def spell_seed_leads(first: Bracket, second: Bracket) -> str:
    """Return `spell_seed_differences` of expected robustness, with bounds that reach beyond it.

    The bounds hold for any curve between the strengths; below three pairs they are always shown.
    Runs that agree in every figure are the same runs and need none.
    """
    text = spell_seed_differences(first.value.tolist(), second.value.tolist())
    if all(np.array_equal(one, other) for one, other in zip(first, second, strict=True)):
        return text
    if len(first.value) < LEAST_SEEDS:
        bounds = float(np.mean(first.low - second.high)), float(np.mean(first.high - second.low))
        return f"{text}, {spell_bounds(bounds, 'the mean' if len(first.value) > 1 else '')}"
    found = lead_between(first, second, paired_test)
    return f"{text}, {spell_bounds(found.bounds)}" if found.beyond else text
