"""Two records of the same samples, aligned sample by sample."""

import numpy as np

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.metrics.curve import Integers
from rampart.records.record import EvaluationRecord
from rampart.units import format_eps


def align_critical(first: EvaluationRecord, second: EvaluationRecord) -> Integers:
    """Return the (N,) critical indices of the second record in the sample order of the first.

    Raises:
        InvalidArgument: as `align_rows`.
    """
    return second.critical[align_rows(first, second)]


def align_rows(first: EvaluationRecord, second: EvaluationRecord) -> Integers:
    """Return the (N,) rows of the second record in the sample order of the first.

    Raises:
        InvalidArgument: the records differ in samples, norm or grid.
    """
    if first.norm != second.norm or not np.array_equal(first.grid, second.grid):
        first_threat, got = (
            f"{record.norm} at {counted(len(record.grid), 'strength')} up to "
            f"{format_eps(record.eps)}"
            for record in (first, second)
        )
        do = "evaluate both with the same threat and evaluation.strengths"
        raise InvalidArgument("second record", got, f"{first_threat}, like the first", do)
    return align_samples(first, second)


def align_samples(first: EvaluationRecord, second: EvaluationRecord) -> Integers:
    """Return the (N,) rows of the second record in the sample order of the first.

    The records may be of different threats.

    Raises:
        InvalidArgument: the records differ in samples.
    """
    place = {name: row for row, name in enumerate(second.ids)}
    if place.keys() != set(first.ids):
        shared = len(place.keys() & set(first.ids))
        has = counted(len(second), "sample")
        got = f"{has}, of which {shared} are among the first record's {len(first)}"
        do = "evaluate both with the same data and evaluation.limit"
        raise InvalidArgument("second record", got, "a record of the same samples", do)
    return np.array([place[name] for name in first.ids], dtype=np.int64)
