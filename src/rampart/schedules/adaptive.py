"""A ramp that rises while the model keeps up, and ends at a deadline at the latest."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rampart.errors import InvalidArgument, UnknownName
from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.hinge import check_alpha, ramp
from rampart.schedules.smoothing import Average
from rampart.schedules.times import check_fraction_of_run, spell_time
from rampart.units import Horizon

#: When a pilot ends before its largest number of epochs.
Stop = Literal["learned", "certain"]
#: Where a run starts after a failed pilot.
Restart = Literal["within-ramp", "auto", "start", "baseline"]
#: Smallest fraction of the ramp that is left after the epochs of the clean baseline.
LEAST_RAMP = 0.25
#: A shorter run starts anew: one of five epochs ends more robust so (docs/studies/compute.md).
SHORT_RUN = 10


@SCHEDULES.register("adaptive")
@dataclass(frozen=True)
class Adaptive(Schedule):
    """eps rises while the model has some skill at the strength it is trained with.

    After each step, at the fraction x = t / T of the run and d after the last step:

        risen(x) = alpha + d / ramp  if skill >= min_skill    "rise"
                   alpha             otherwise                "wait"
        bound(x) = 0                                for x < start
                   (x - start) / (deadline - start) for start <= x < deadline
                   1                                for x >= deadline
        alpha    = min(1, max(risen(x), bound(x)))            "force" if the bound is larger

    The skill is the accuracy beyond chance on the training batches at their strength, averaged
    exponentially over `memory` of the run. It costs nothing, because the objective computes these
    predictions anyway, and it uses no validation or test data. The average counts once it covers
    `memory`. alpha never falls.

    A model that adapts at once is at full strength after `ramp` of the run. For a model that stalls
    alpha follows two-hinge from `start` to `deadline` (arXiv 2509.23325, section 4), so 1 -
    `deadline` of the run is always at full strength.

    Without any skill alpha follows the bound; with skill it rises by d / ramp:

        >>> schedule, state = Adaptive(), None
        >>> [schedule.alpha(t, 100) for t in (20, 50, 80)]
        [0.0, 0.5, 1.0]
        >>> for t in (5, 10, 20):
        ...     state = schedule.watch(state, t, 100, skill=0.5)
        ...     print(schedule.alpha(t, 100, state))
        0.25
        0.5
        1.0

    Pilot: if the attack does not delay adaptation, even the shortest ramp costs time at full
    strength. `rampart train` therefore begins at full strength, for at most `pilot` of the run, and
    compares the run with standard fine-tuning. If the run has kept up, it continues; otherwise it
    restarts with the ramp (`rampart.training.pilot_verdict`).

    By default a run of ten epochs or more then continues from standard fine-tuning. Its epochs
    become the first ones of the run, at eps = 0, and only those at full strength are lost. They are
    a part of the ramp: if they end at x = p, alpha rises by d / max(ramp - p, ramp / 4). A shorter
    run starts from its initial weights, and so does one that begins in another way: with a
    callback, a strategy, a linear probe, fp16, learning rates that follow the validation, or an
    objective that remembers images.

    With pilot_stop "certain" the pilot ends as soon as chance hardly explains the difference
    between the run and the limit, and in doubt the run has a ramp.

    Attributes:
        min_skill: smallest skill at which eps rises, in [0, 1].
        ramp: fraction of the run in which eps rises from 0 to eps_g without a wait.
        memory: fraction of the run that the average covers.
        start: fraction of the run at which the bound begins to rise.
        deadline: fraction of the run at which the bound reaches eps_g.
        pilot: largest fraction of the run for the pilot; 0 for no pilot.
        pilot_stop: when the pilot ends before that: "certain", when the verdict is certain;
            "learned", when standard fine-tuning has learned something.
        pilot_restart: where a run starts after a failed pilot: "baseline", from standard
            fine-tuning; "start", from the initial weights; "auto", from standard fine-tuning
            unless there is a callback, a strategy, a linear probe, fp16,
            `optimizer.lr_schedule=plateau` or `noisy-labels`; "within-ramp", like "auto", but the
            epochs of standard fine-tuning are a part of the ramp, and a run of fewer than ten
            epochs starts from the initial weights.
    """

    min_skill: float = 0.1
    ramp: float = 0.2
    memory: float = 0.01
    start: float = 0.25
    deadline: float = 0.75
    pilot: float = 0.2
    pilot_stop: Stop = "certain"
    pilot_restart: Restart = "within-ramp"

    def __post_init__(self) -> None:
        for name, kind in (("pilot_stop", Stop), ("pilot_restart", Restart)):
            if getattr(self, name) not in get_args(kind):
                raise UnknownName(name, getattr(self, name), get_args(kind))
        check_alpha("min_skill", self.min_skill)
        for name in ("ramp", "memory", "start", "deadline", "pilot"):
            check_fraction_of_run(name, getattr(self, name))
        if not 0 < self.memory < self.deadline:
            expected = f"above 0 and below schedule.deadline, {self.deadline:g} of the run"
            advice = "otherwise the deadline comes before the average counts"
            raise InvalidArgument("schedule.memory", f"{self.memory:g}", expected, advice)
        if not self.start <= self.deadline:
            expected = f"at least schedule.start, {self.start:g} of the run"
            raise InvalidArgument("schedule.deadline", f"{self.deadline:g}", expected)
        if not self.deadline < 1:
            expected = "below 1, so that a part of the run is at full strength"
            raise InvalidArgument("schedule.deadline", f"{self.deadline:g}", expected)
        if not 0 < self.ramp <= self.deadline:
            expected = f"above 0 and at most schedule.deadline, {self.deadline:g} of the run"
            advice = "shorten the ramp, or set the deadline later"
            raise InvalidArgument("schedule.ramp", f"{self.ramp:g}", expected, advice)

    @property
    def needs_accuracy(self) -> bool:
        """True: the skill is measured on every batch."""
        return True

    @property
    def arrival(self) -> float:
        """The deadline."""
        return self.deadline

    def warnings(self, horizon: Horizon) -> list[str]:
        """Warn if the run is too short for its pilot."""
        if self.pilot == 0 or longest_pilot(self.pilot, horizon.epochs):
            return []
        if horizon.epochs == 1:
            return ["pilot skipped: schedule.pilot needs a run of at least 2 epochs."]
        epochs = spell_time(horizon.epochs, "epoch")
        return [f"pilot skipped: schedule.pilot={self.pilot:g} x {epochs} is less than one epoch."]

    def continues_baseline(self, epochs: int) -> bool:
        """Whether a run of so many epochs continues from standard fine-tuning.

        It still starts anew if it begins in another way (`RunConfig.continues_baseline`).
        """
        if self.pilot_restart == "within-ramp":
            return epochs >= SHORT_RUN
        return self.pilot_restart != "start"

    def initial_state(self) -> State:
        """Return the state before the first step: alpha = 0 and an empty average."""
        return {"alpha": 0.0, "time": 0.0, "decision": "wait", **Average().state()}

    def start_at(self, state: State | None, alpha: float) -> State:
        """Return the state of a run that starts at `alpha`, which the backbone withstands."""
        return {**(state or self.initial_state()), "alpha": float(alpha)}

    def start_after(self, state: State | None, t: float, T: float) -> State:
        """Return the state after steps of the clean baseline, on which no skill was measured."""
        after = {**(state or self.initial_state()), "time": t / T}
        if self.pilot_restart == "within-ramp":
            after["ramp"] = max(self.ramp - t / T, LEAST_RAMP * self.ramp)
        return after

    def watch(self, state: State | None, t: float, T: float, skill: float) -> State:
        """Return the state after a step, by the formula of the class."""
        state = state or self.initial_state()
        time = t / T
        elapsed = time - state["time"]
        average = Average.of(state).add(skill, elapsed / self.memory)
        alpha, bound = state["alpha"], self._bound(time)
        rises = average.full and average.mean >= self.min_skill
        if rises:
            alpha = min(1.0, alpha + elapsed / state.get("ramp", self.ramp))
        decision = "force" if alpha < bound else "rise" if rises and alpha < 1 else "wait"
        if alpha >= 1:
            decision = "hold"
        return {
            **state,
            "alpha": max(alpha, bound),
            "time": time,
            "decision": decision,
            **average.state(),
        }

    def _bound(self, time: float) -> float:
        """Return the smallest alpha at this fraction of the run."""
        return ramp(time, self.start, self.deadline)

    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        assert state is not None, "alpha() passes the initial state in place of None"
        return max(state["alpha"], self._bound(t / T))


def longest_pilot(fraction: float, epochs: int) -> int:
    """Return the largest number of epochs of a pilot: floor(fraction · epochs) < epochs.

    Args:
        fraction: of the run, in [0, 1].
        epochs: length of the run.
    """
    # A product such as 0.2 * 15 may miss a whole number by rounding.
    return min(math.floor(fraction * epochs + 1e-9), epochs - 1)
