"""Attack images until the interval of expected robustness is narrow enough, or the images end."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rampart.data.splits import Split
from rampart.data.subset import Positions, having
from rampart.evaluation.results import Results
from rampart.evaluation.whole import Evaluation
from rampart.metrics.curve import Floats
from rampart.metrics.sequential import Until, sequential_interval


@dataclass(frozen=True, eq=False)
class Reached:
    """Where a rule stopped.

    Attributes:
        evaluation: of the images up to there.
        part: these images.
        figures: plain values for a record: precision, whether it is reached, images, how many
            there are, looks, and the interval.
    """

    evaluation: Evaluation
    part: Split
    figures: dict[str, Any]


def evaluate_until(
    evaluate: Callable[[Split], Evaluation],
    split: Split,
    order: Positions,
    contributions: Callable[[Results], Floats],
    rule: Until,
    at_least: int = 0,
) -> Reached:
    """Evaluate the first images of an order, as many as the rule asks for.

    The result is the one at the first size at which the rule stops, whatever was attacked before.

    Args:
        evaluate: returns the evaluation of some images; it attacks none a second time.
        split: the images.
        order: (N,) their numbers in the order of the draw.
        contributions: returns the contribution of each image to expected robustness.
        rule: when to stop.
        at_least: number of images that a record has already; none of them is given up.
    """
    available, new, seconds = len(order), 0, 0.0

    def measure(size: int) -> Evaluation:
        nonlocal new, seconds
        done = evaluate(having(split, order[:size]))
        new, seconds = new + size - done.resumed, seconds + done.seconds
        return done

    size = rule.sizes(available, at_least)[0]
    while True:
        done = measure(size)
        values = _in_order(contributions(done.results), done.results, order[:size])
        stop = rule.stop(values, at_least)
        if stop is not None or size == available:
            break
        size = rule.next_size(values, available)
    if stop is not None and stop < size:
        size = stop
        done = measure(size)
        values = _in_order(contributions(done.results), done.results, order[:size])
    done = replace(done, seconds=seconds, resumed=max(0, size - new))
    figures = _figures(rule, values, available)
    return Reached(done, having(split, order[:size]), figures)


def _in_order(values: Floats, results: Results, numbers: Positions) -> Floats:
    """Return the values of the results, whose rows are sorted, in the order of the numbers."""
    return values[np.searchsorted(results.indices, numbers)]


def _figures(rule: Until, values: Floats, available: int) -> dict[str, Any]:
    n, interval = len(values), sequential_interval(values, rule.confidence)
    return {
        "precision": rule.half_width,
        "reached": rule.is_reached(values),
        "images": n,
        "available": available,
        "looks": sum(size <= n for size in rule.sizes(available)),
        "expected": float(values.mean()),
        "low": interval.low,
        "high": interval.high,
    }
