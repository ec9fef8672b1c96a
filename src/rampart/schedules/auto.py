"""A ramp that starts when the validation accuracy has converged."""

from dataclasses import dataclass

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.hinge import ramp
from rampart.schedules.times import TimeUnit
from rampart.units import Horizon


def has_converged(metrics: list[float], patience: int, tolerance: float) -> bool:
    """Whether max(last `patience` values) - max(earlier values) < `tolerance`."""
    before, last = metrics[:-patience], metrics[-patience:]
    return bool(before) and max(last) - max(before) < tolerance


@SCHEDULES.register("auto")
@dataclass(frozen=True)
class Auto(Schedule):
    """No attack until the validation clean accuracy has converged, then linear to the end.

        alpha(t) = 0                    for t < T1
                   (t - T1) / (T - T1)  for T1 <= t <= T

    T1 is the end of the first epoch at which the accuracy has converged: the best of the last
    `patience` epochs exceeds the best of all earlier epochs by less than `tolerance`. That takes at
    least `patience` + 1 epochs. Without convergence, as in runs that are short for the patience,
    alpha stays 0 and the run is standard fine-tuning, as published.
    Source: arXiv 2509.23325, the schedule without T1 and T2.

    With patience 2 this run converges at T1 = 4:

        >>> schedule, state = Auto(patience=2), None
        >>> for epoch, accuracy in enumerate([0.5, 0.6, 0.61, 0.61], start=1):
        ...     state = schedule.observe(state, epoch, 10, accuracy)
        >>> [schedule.alpha(t, 10, state) for t in (4, 7, 10)]
        [0.0, 0.5, 1.0]

    Attributes:
        patience: number of epochs without an improvement of `tolerance`.
        tolerance: smallest improvement of the accuracy, a fraction: 0.02 is two points.
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
        """True: T1 depends on the validation accuracy."""
        return True

    def warnings(self, horizon: Horizon) -> list[str]:
        """Warn if the run ends before the ramp can start."""
        needed = self.patience + 2
        if horizon.epochs >= needed:
            return []
        return [
            f"schedule=auto with patience={self.patience} never attacks in a run of "
            f"{counted(horizon.epochs, 'epoch')}: train for at least {counted(needed, 'epoch')}, "
            "or lower schedule.patience."
        ]

    def initial_state(self) -> State:
        """Return the state before the first epoch: no accuracies, no start of the ramp."""
        return {"metrics": [], "start": None}

    def observe(self, state: State | None, t: float, T: float, metric: float) -> State:
        """Return the next state; the start of the ramp is set once, before the end of the run.

        Raises:
            InvalidArgument: the metric lies outside [0, 1].
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
