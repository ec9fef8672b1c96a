"""The ramp that starts when the validation accuracy has converged."""

from dataclasses import dataclass

from rampart.errors import InvalidArgument
from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.hinge import ramp
from rampart.schedules.times import TimeUnit
from rampart.units import Horizon


def has_converged(metrics: list[float], patience: int, tolerance: float) -> bool:
    """Whether the best of the last `patience` values exceeds the best before by < `tolerance`."""
    before, last = metrics[:-patience], metrics[-patience:]
    return bool(before) and max(last) - max(before) < tolerance


@SCHEDULES.register("auto")
@dataclass(frozen=True)
class Auto(Schedule):
    """No attack until the validation clean accuracy has converged, then linear to the end.

    alpha(t) = 0 for t < T1; (t - T1) / (T - T1) afterwards, with T1 the end of the first epoch at
    which the best accuracy of the last `patience` epochs exceeds the best of all epochs before
    them by less than `tolerance` (an absolute difference of fractions). That needs `patience` + 1
    epochs at least. If it never happens, alpha stays 0 to the end and the run is standard
    fine-tuning: so it is published, and so it goes in runs that are short beside the patience.
    Source: arXiv 2509.23325, the schedule without T1 and T2.

    Attributes:
        patience: epochs without an improvement of `tolerance` that count as convergence.
        tolerance: the improvement, a fraction of accuracy: 0.02 is two points.
    """

    patience: int = 5
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise InvalidArgument("schedule.patience", self.patience, "at least 1 epoch")
        if not 0 <= self.tolerance <= 1:
            expected = "a difference of accuracies in [0, 1]"
            advice = "write 0.02 for two points" if self.tolerance > 1 else ""
            raise InvalidArgument("schedule.tolerance", f"{self.tolerance:g}", expected, advice)

    @property
    def unit(self) -> TimeUnit:
        """Epochs: t and T are passed in epochs."""
        return "epoch"

    @property
    def needs_validation(self) -> bool:
        """Yes: it waits until that accuracy has converged."""
        return True

    def warnings(self, horizon: Horizon) -> list[str]:
        """Say so if the run is over before the ramp can start."""
        needed = self.patience + 2
        if horizon.epochs >= needed:
            return []
        return [
            f"schedule auto with patience={self.patience} cannot start its ramp in a run of "
            f"{horizon.epochs} epochs, so that nothing would be attacked: train for "
            f"{needed} epochs or more, or lower schedule.patience."
        ]

    def initial_state(self) -> State:
        """Return the state before the first epoch: no accuracy seen, no start of the ramp."""
        return {"metrics": [], "start": None}

    def observe(self, state: State | None, t: float, T: float, metric: float) -> State:
        """Return the next state; the ramp's start is set once, before the end, and stays.

        Raises:
            InvalidArgument: the metric is no fraction in [0, 1].
        """
        if not 0 <= metric <= 1:
            raise InvalidArgument("metric", metric, "a validation accuracy, a fraction in [0, 1]")
        state = self.initial_state() if state is None else state
        if state["start"] is not None or t >= T:
            return state
        metrics = [*state["metrics"], float(metric)]
        converged = has_converged(metrics, self.patience, self.tolerance)
        return {"metrics": metrics, "start": t if converged else None}

    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        start = state["start"] if state else None
        return 0.0 if start is None or start >= T else ramp(t, start, T)
