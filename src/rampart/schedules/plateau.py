"""A ramp that starts when learning without an attack has leveled off."""

from dataclasses import dataclass

from rampart.errors import InvalidArgument
from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.hinge import check_alpha, ramp
from rampart.schedules.times import check_fraction_of_run


@SCHEDULES.register("plateau")
@dataclass(frozen=True)
class Plateau(Schedule):
    """No attack until the model has learned most of the task, then a ramp, then full strength.

    At the fraction x = t / T of the run, with T1 the start of the ramp and
    T2 = T1 + ramp (1 - T1):

        alpha(x) = 0                      for x < T1
                   (x - T1) / (T2 - T1)   for T1 <= x < T2
                   1                      for x >= T2

    A run that starts at a strength alpha_0 has alpha_0 + (1 - alpha_0) alpha(x).

    T1 is the end of the first window of training batches at which learning has leveled off, and
    `deadline` at the latest. The skill of a window is its mean accuracy beyond chance. Learning has
    leveled off if the skill s is above 0.1 and s - s' < tolerance (1 - s'), with the skill s' of
    the previous window. The published `auto` counts epochs instead (patience 5), so it never starts
    in a short run (arXiv 2509.23325).

    With T1 at the deadline, 0.5, the ramp ends at T2 = 0.75:

        >>> [Plateau(deadline=0.5).alpha(t, 16) for t in (8, 10, 12)]
        [0.0, 0.5, 1.0]

    Attributes:
        tolerance: fraction of the gap 1 - s' below which learning has leveled off.
        window: length of a window, a fraction of the run.
        ramp: length of the ramp, a fraction of the rest of the run after T1.
        deadline: largest T1, a fraction of the run.
    """

    tolerance: float = 0.1
    window: float = 0.05
    ramp: float = 0.5
    deadline: float = 0.3

    #: A model with less skill has not begun to learn, however steady it is.
    LEARNING = 0.1

    def __post_init__(self) -> None:
        check_alpha("tolerance", self.tolerance)
        for name in ("window", "ramp", "deadline"):
            check_fraction_of_run(name, getattr(self, name))
        if not 0 < self.window <= self.deadline:
            expected = f"above 0 and at most schedule.deadline, {self.deadline:g} of the run"
            raise InvalidArgument("schedule.window", f"{self.window:g}", expected)
        if not self.deadline < 1:
            expected = "before the end of the run, so that there is a ramp"
            raise InvalidArgument("schedule.deadline", f"{self.deadline:g}", expected)
        if not self.ramp < 1:
            expected = "below 1, so that a part of the run is at full strength"
            raise InvalidArgument("schedule.ramp", f"{self.ramp:g}", expected)

    @property
    def needs_accuracy(self) -> bool:
        """True: the skill is measured on every batch."""
        return True

    @property
    def arrival(self) -> float:
        """The end of the ramp that starts at the deadline."""
        return self.deadline + self.ramp * (1 - self.deadline)

    def initial_state(self) -> State:
        """Return the state before the first step: an empty window and no start of the ramp."""
        window = {"sum": 0.0, "count": 0, "began": 0.0, "before": None}
        return {**window, "start": None, "alpha": 0.0, "decision": "wait"}

    def start_at(self, state: State | None, alpha: float) -> State:
        """Return the state of a run that starts at `alpha`, which the backbone withstands."""
        return {**(state or self.initial_state()), "alpha": float(alpha)}

    def watch(self, state: State | None, t: float, T: float, skill: float) -> State:
        """Return the next state; the start of the ramp is set once."""
        state = state or self.initial_state()
        if state["start"] is not None:
            return {**state, "decision": "hold" if self._alpha(t, T, state) == 1 else "rise"}
        time = t / T
        state = {**state, "sum": state["sum"] + skill, "count": state["count"] + 1}
        if time - state["began"] >= self.window:
            mean = state["sum"] / state["count"]
            if self._has_leveled_off(state["before"], mean):
                return {**state, "start": min(time, self.deadline), "decision": "converged"}
            state |= {"sum": 0.0, "count": 0, "began": time, "before": mean}
        if time < self.deadline:
            return {**state, "decision": "wait"}
        # The ramp starts within this step, at the deadline; its end would be too late.
        return {**state, "start": self.deadline, "decision": "force"}

    def _has_leveled_off(self, before: float | None, now: float) -> bool:
        """Whether learning has leveled off between two windows."""
        if before is None or now <= self.LEARNING:
            return False
        return now - before < self.tolerance * (1 - before)

    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        assert state is not None, "alpha() passes the initial state in place of None"
        start = self.deadline if state["start"] is None else state["start"]
        risen = ramp(t / T, start, start + self.ramp * (1 - start))
        alpha: float = state["alpha"]
        return alpha + (1 - alpha) * risen
