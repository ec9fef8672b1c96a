"""The adaptation delay against the strength and against the final accuracy: figures 8 and 9."""

from collections.abc import Sequence
from typing import NamedTuple

from rampart.experiments.published.conditions import Results
from rampart.metrics.adaptation import has_measurable_delay
from rampart.metrics.tasks import correlation
from rampart.reports.sheets import Sheet


class Delayed(NamedTuple):
    """One finished run.

    Attributes:
        backbone, dataset, method: of its condition.
        eps: target strength.
        delay: in epochs; None if the run never adapted.
        clean: final clean accuracy, a fraction.
    """

    backbone: str
    dataset: str
    method: str
    eps: float
    delay: int | None
    clean: float

    @property
    def key(self) -> tuple[str, str, str]:
        """Backbone, dataset and method: the runs of one correlation."""
        return self.backbone, self.dataset, self.method


class Correlation(NamedTuple):
    """Pearson's r of delay and final clean accuracy over the runs of one method on one pair.

    Attributes:
        backbone, dataset, method: which runs.
        runs: number of runs that adapted.
        never: number of runs that never adapted; they have no delay and are left out.
        r: None if too few runs adapted, or if all have one delay or one accuracy.
    """

    backbone: str
    dataset: str
    method: str
    runs: int
    never: int
    r: float | None


def delayed_runs(results: Sequence[Results]) -> list[Delayed]:
    """Return the finished runs whose delay can be measured."""
    return [
        Delayed(
            one.condition.backbone,
            one.condition.dataset,
            one.condition.method,
            one.condition.eps,
            run.figures.delay,
            run.figures.clean,
        )
        for one in results
        for run in one.runs
        if has_measurable_delay(run.figures.classes)
    ]


def correlations(runs: Sequence[Delayed]) -> list[Correlation]:
    """Return one correlation per backbone, dataset and method."""
    found = []
    for key in dict.fromkeys(one.key for one in runs):
        own = [one for one in runs if one.key == key]
        known = [(one.delay, one.clean) for one in own if one.delay is not None]
        r = correlation([delay for delay, _ in known], [clean for _, clean in known])
        found.append(Correlation(*key, len(known), len(own) - len(known), r))
    return found


def delay_sheet(runs: Sequence[Delayed]) -> Sheet:
    """Return the correlations as a table."""
    found = correlations(runs)
    heads = ("backbone", "dataset", "method", "runs", "never adapted", "Pearson r")
    lines = tuple(
        (*one[:3], str(one.runs), str(one.never), "" if one.r is None else f"{one.r:.2f}")
        for one in found
    )
    exact = tuple((*one[:5], "" if one.r is None else f"{one.r:.6g}") for one in found)
    return Sheet(
        "delays",
        "Correlation of adaptation delay and final clean accuracy",
        3,
        (("", len(heads)),),
        heads,
        lines,
        (heads, *exact),
    )
