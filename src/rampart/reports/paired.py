"""The difference of two models in one figure, on the same samples: its interval and its exact test.

A difference counts only if both agree: the interval excludes 0, and p lies below 1 - confidence.
They answer different questions. The test asks whether the two models could be exchanged on the
samples on which they differ. The interval is one for all samples, also those that were not drawn,
and so the wider of the two where few samples differ, or differ by little.
"""

from typing import Any

import numpy as np

from rampart.counting import counted
from rampart.metrics.curve import Floats
from rampart.metrics.pairs import mcnemar, paired_interval, sign_flip_test
from rampart.metrics.planning import pairs_needed

#: Half width of the interval for which a report gives the number of images needed: one point.
POINT = 0.01


def paired_difference(
    first: Floats, second: Floats, confidence: float, *, binary: bool
) -> dict[str, Any]:
    """Return first - second with its interval, its p-value and the number of pairs for +-1 point.

    `doubtful` says whether it may be chance, and `note`, where interval and test disagree, why.

    Args:
        first: (N,) numbers in [0, 1].
        second: (N,) numbers in [0, 1], of the same samples.
        confidence: of the interval.
        binary: whether the numbers are 0 and 1: McNemar's test, and else sign flips.
    """
    interval = paired_interval(first, second, confidence)
    p = mcnemar(first, second).p if binary else sign_flip_test(first, second)
    lead = float((first - second).mean())
    # If all differences are equal, rounding could put the mean square below the squared mean.
    apart = max(float(((first - second) ** 2).mean()), lead**2)
    zero, likely = interval.low <= 0 <= interval.high, p >= 1 - confidence
    note = _explain(int(np.count_nonzero(first != second)), zero) if zero != likely else ""
    return {
        "difference": lead,
        "low": interval.low,
        "high": interval.high,
        "p": p,
        "test": "McNemar" if binary else "sign flips",
        "pairs_needed": pairs_needed(POINT, apart, lead, confidence),
        "doubtful": zero or likely,
        **({"note": note} if note else {}),
    }


def _explain(differing: int, zero: bool) -> str:
    """Return why interval and test disagree, and which of them counts."""
    images = counted(differing, "image")
    if zero:
        return (
            f"p is small although the interval contains 0: the test compares only the {images} on "
            "which the two differ, and the interval also allows for other images, on which the "
            "two may differ more. The interval counts."
        )
    return (
        f"the interval excludes 0 although p is not small: with {images} on which the two differ, "
        "the test is exact and the interval is not. The test counts."
    )
