"""The lines of the pictures, read from the histories and records of the finished runs."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from rampart.errors import RampartError
from rampart.experiments.published.conditions import FinishedRun, Results
from rampart.metrics.intervals import spread_over_seeds
from rampart.records.storage import load_record
from rampart.reports.panels import Series
from rampart.reports.seeds import spell_spread
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder

#: Points of a run: values of y by x.
Points = Mapping[float, float]


class Unreadable:
    """The files that could not be read, each once."""

    def __init__(self) -> None:
        self.reasons: dict[str, None] = {}

    def read(self, points: Callable[[FinishedRun], Points], run: FinishedRun) -> Points:
        """Return the points of a run; none if its file is missing or damaged."""
        try:
            return points(run)
        except RampartError as error:
            self.reasons[str(error)] = None
            return {}


def mean_series(
    results: Results,
    points: Callable[[FinishedRun], Points],
    unreadable: Unreadable,
    scale: float = 100,
    fractions: bool = True,
) -> Series | None:
    """Return the mean line of a condition over its seeds; None if no run has points.

    Args:
        results: of the condition.
        points: reads the points of one run.
        unreadable: collects what could not be read.
        scale: factor from the values to what is drawn.
        fractions: whether values lie in [0, 1]; only such lines have an interval.
    """
    runs = [found for run in results.runs if (found := unreadable.read(points, run))]
    if not runs:
        return None
    x = [one for one in runs[0] if all(one in other for other in runs)]
    columns = [[run[one] for run in runs] for one in x]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    if fractions and len(runs) > 1:
        spreads = [spread_over_seeds(column) for column in columns]
        low = tuple(scale * one.low for one in spreads)
        high = tuple(scale * one.high for one in spreads)
    return Series(
        results.condition.method,
        tuple(x),
        tuple(scale * fmean(column) for column in columns),
        low,
        high,
    )


def column_points(key: str) -> Callable[[FinishedRun], Points]:
    """Return a reader of one column of a history by epoch."""

    def read(run: FinishedRun) -> Points:
        if run.folder is None:
            return {}
        rows = History(RunFolder(run.folder).history).rows()
        return {row["epoch"]: row[key] for row in rows if row.get(key) is not None}

    return read


def curve_points(run: FinishedRun) -> Points:
    """Return the accuracy of a run by strength, in gray levels."""
    if run.record is None:
        return {}
    record = load_record(run.record)
    pairs = zip(record.grid, record.accuracy, strict=True)
    return {round(float(eps) * 255, 6): float(accuracy) for eps, accuracy in pairs}


def spell_interval(results: Sequence[Results]) -> str:
    """Return what the bands of a picture are."""
    counts = [len(one.runs) for one in results]
    return f"mean over the seeds, {spell_spread(counts)}" if max(counts, default=0) > 1 else ""
