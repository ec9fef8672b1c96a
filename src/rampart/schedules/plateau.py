"""The ramp that starts when learning without an attack has leveled off."""

from dataclasses import dataclass

from rampart.errors import InvalidArgument
from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.hinge import check_alpha, ramp
from rampart.schedules.times import check_fraction_of_run


@SCHEDULES.register("plateau")
@dataclass(frozen=True)
class Plateau(Schedule):
    """No attack until the model has learned most of the task, then a ramp, then full strength.

    *Sensed*: the skill, that is the accuracy beyond chance, on each training batch. *Smoothed*: its
    mean over windows of `window` of the run each, whole epochs or not. *Decided* at the end of a
    window: learning has leveled off once the skill is above 0.1 and has closed less than
    `tolerance` of its gap to 1 since the window before. Then eps rises in a straight line over
    `ramp` of what is left of the run, and stays at eps_g. From `deadline` on the ramp starts
    whatever the signal. The published `auto` counts epochs instead (patience 5), and so never
    starts in a short run (arXiv 2509.23325).

    Attributes:
        tolerance: fraction of the gap to perfect accuracy whose closing still counts as learning.
        window: fraction of the run that one mean is taken over.
        ramp: length of the ramp, a fraction of what is left when it starts.
        deadline: fraction of the run at which the ramp starts at the latest.
    """

    tolerance: float = 0.1
    window: float = 0.05
    ramp: float = 0.5
    deadline: float = 0.3

    #: A model that is no better than this has not begun to learn, however steady it is.
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
            expected = "below 1, so that something of the run is left for full strength"
            raise InvalidArgument("schedule.ramp", f"{self.ramp:g}", expected)

    @property
    def needs_accuracy(self) -> bool:
        """Yes: learning is followed batch by batch."""
        return True

    @property
    def arrival(self) -> float:
        """The end of the ramp that starts at the deadline."""
        return self.deadline + self.ramp * (1 - self.deadline)

    def initial_state(self) -> State:
        """Return the state before the first step: no window is full, the ramp has no start."""
        window = {"sum": 0.0, "count": 0, "began": 0.0, "before": None}
        return {**window, "start": None, "alpha": 0.0, "decision": "wait"}

    def start_at(self, state: State | None, alpha: float) -> State:
        """Return the state of a run that starts at the strength that the backbone withstands."""
        return {**(state or self.initial_state()), "alpha": float(alpha)}

    def watch(self, state: State | None, t: float, T: float, skill: float) -> State:
        """Return the next state; the start of the ramp is set once, and stays."""
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
        # Not the end of this step: the ramp began within it, and alpha must not fall behind.
        return {**state, "start": self.deadline, "decision": "force"}

    def _has_leveled_off(self, before: float | None, now: float) -> bool:
        """Whether learning has leveled off between two windows."""
        if before is None or now <= self.LEARNING:
            return False
        return now - before < self.tolerance * (1 - before)

    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        assert state is not None, "alpha() never passes None where there is a state"
        start = self.deadline if state["start"] is None else state["start"]
        risen = ramp(t / T, start, start + self.ramp * (1 - start))
        alpha: float = state["alpha"]
        return alpha + (1 - alpha) * risen
