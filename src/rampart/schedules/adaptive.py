"""The ramp that rises while the model keeps up, and arrives at a deadline in any case."""

import math
from dataclasses import dataclass

from rampart.errors import InvalidArgument
from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.hinge import check_alpha, ramp
from rampart.schedules.smoothing import Average
from rampart.schedules.times import check_fraction_of_run, spell_time
from rampart.units import Horizon


@SCHEDULES.register("adaptive")
@dataclass(frozen=True)
class Adaptive(Schedule):
    """eps rises while the model is better than chance at the strength it is trained with.

    *Sensed*: the skill, that is the accuracy beyond chance, on each training batch at the strength
    that it was trained with. It comes with the objective's own forward pass, costs nothing, and is
    no validation or test data. *Smoothed*: an exponential average over `memory` of the run, which
    speaks once it has seen that much. *Decided* after every step: while the average is at least
    `min_skill` eps "rise"s, at the speed that crosses [0, eps_g] in `ramp` of the run; else it
    "wait"s. It never falls.

    *Bounds*: alpha is at least the two-hinge ramp from `start` to `deadline`, so that at full
    strength there is always 1 - `deadline` of the run, whatever the signal ("force" where the bound
    decides). It is at most the ramp of length `ramp` from where the run starts. A model that adapts
    at once is at full strength after `ramp` of the run; one that stalls, as RFT-fix does, is waited
    for, at the latest as two-hinge waits (arXiv 2509.23325, section 4).

    *Pilot*: where the attack delays nothing, even the shortest ramp costs time at full strength.
    `rampart train` finds out by training at full strength first, for at most `pilot` of the run,
    until standard fine-tuning in the same epochs has learned something. If the run kept up with
    that it goes on; else it starts over with the ramp (`rampart.training.pilot`).

    Attributes:
        min_skill: the skill that counts as keeping up, in [0, 1].
        ramp: fraction of the run in which eps rises from 0 to eps_g if nothing holds it up.
        memory: fraction of the run that the average reaches back.
        start: fraction of the run from which eps rises in any case.
        deadline: fraction of the run by which eps_g is reached in any case.
        pilot: fraction of the run for which full strength is tried first; 0 for no pilot.
    """

    min_skill: float = 0.1
    ramp: float = 0.2
    memory: float = 0.01
    start: float = 0.25
    deadline: float = 0.75
    pilot: float = 0.2

    def __post_init__(self) -> None:
        check_alpha("min_skill", self.min_skill)
        for name in ("ramp", "memory", "start", "deadline", "pilot"):
            check_fraction_of_run(name, getattr(self, name))
        if not 0 < self.memory < self.deadline:
            expected = f"above 0 and below schedule.deadline, {self.deadline:g} of the run"
            advice = "the average would not have spoken before eps_g is reached in any case"
            raise InvalidArgument("schedule.memory", f"{self.memory:g}", expected, advice)
        if not self.start <= self.deadline:
            expected = f"at least schedule.start, {self.start:g} of the run"
            raise InvalidArgument("schedule.deadline", f"{self.deadline:g}", expected)
        if not self.deadline < 1:
            expected = "below 1, so that something of the run is left for full strength"
            raise InvalidArgument("schedule.deadline", f"{self.deadline:g}", expected)
        if not 0 < self.ramp <= self.deadline:
            expected = f"above 0 and at most schedule.deadline, {self.deadline:g} of the run"
            advice = "shorten the ramp, or set the deadline later"
            raise InvalidArgument("schedule.ramp", f"{self.ramp:g}", expected, advice)

    @property
    def needs_accuracy(self) -> bool:
        """Yes: whether the model keeps up is read from every batch."""
        return True

    @property
    def arrival(self) -> float:
        """The deadline."""
        return self.deadline

    def warnings(self, horizon: Horizon) -> list[str]:
        """Say where a run is too short for the pilot that is asked for."""
        if self.pilot == 0 or longest_pilot(self.pilot, horizon.epochs):
            return []
        epochs = spell_time(horizon.epochs, "epoch")
        return [
            f"there is no pilot at full strength: schedule.pilot={self.pilot:g} of {epochs} has to "
            "be one at least, and not all of them."
        ]

    def initial_state(self) -> State:
        """Return the state before the first step: eps is 0, nothing is known."""
        return {"alpha": 0.0, "time": 0.0, "decision": "wait", **Average().state()}

    def start_at(self, state: State | None, alpha: float) -> State:
        """Return the state of a run that starts at the strength that the backbone withstands."""
        return {**(state or self.initial_state()), "alpha": float(alpha)}

    def watch(self, state: State | None, t: float, T: float, skill: float) -> State:
        """Return the next state: eps rises by what the time since the last step allows, or not."""
        state = state or self.initial_state()
        time = t / T
        elapsed = time - state["time"]
        average = Average.of(state).add(skill, elapsed / self.memory)
        alpha, bound = state["alpha"], self._latest(time)
        rises = average.full and average.mean >= self.min_skill
        if rises:
            alpha = min(1.0, alpha + elapsed / self.ramp)
        decision = "force" if alpha < bound else "rise" if rises and alpha < 1 else "wait"
        if alpha >= 1:
            decision = "hold"
        return {
            "alpha": max(alpha, bound),
            "time": time,
            "decision": decision,
            **average.state(),
        }

    def _latest(self, time: float) -> float:
        """The least alpha at this fraction of the run."""
        return ramp(time, self.start, self.deadline)

    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        assert state is not None, "alpha() never passes None where there is a state"
        return max(state["alpha"], self._latest(t / T))


def longest_pilot(fraction: float, epochs: int) -> int:
    """Return how many epochs a pilot takes at most: whole ones, and not the last.

    Args:
        fraction: of the run.
        epochs: of the run.
    """
    # A product such as 0.2 * 15 may lie an ulp off a whole number.
    return min(math.floor(fraction * epochs + 1e-9), epochs - 1)
