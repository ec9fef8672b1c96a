"""The contract of a schedule: a frozen value with a pure alpha(t, T)."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

from rampart.errors import InvalidArgument
from rampart.registry import Registry
from rampart.schedules.times import TimeUnit, spell_time
from rampart.units import Horizon

#: What a schedule remembers of the run, in plain values that JSON can hold.
State = dict[str, Any]


@dataclass(frozen=True)
class Schedule(ABC):
    """A function alpha(t, T) with values in [0, 1]; eps(t) = alpha(t) · eps_g.

    A subclass defines `_alpha`. If it has times, it defines `_times` too. If it depends on the run,
    it also defines `initial_state` and either `observe` (validation, after every epoch) or `watch`
    (training, after every step). The constructor raises `InvalidArgument` for an option that is out
    of range.
    """

    @property
    def unit(self) -> TimeUnit:
        """The unit of its times, t and T; with "fraction" t and T may have any common unit."""
        return "fraction"

    @property
    def needs_validation(self) -> bool:
        """Whether it needs the validation accuracy after every epoch (`observe`)."""
        return False

    @property
    def needs_accuracy(self) -> bool:
        """Whether it needs the accuracy on the batch after every step (`watch`)."""
        return False

    @property
    def arrival(self) -> float | None:
        """Fraction of the run at which eps_g is reached at the latest; None if unknown."""
        return None

    @property
    def pilot(self) -> float:
        """Largest fraction of the run for a pilot at full strength; 0 for no pilot.

        `rampart train` runs the pilot, because a run goes back to its start after a failed one.
        """
        return 0.0

    def start_after(self, state: State | None, t: float, T: float) -> State | None:
        """Return the state of a run whose first steps, up to t, had no attack."""
        return state

    @final
    def alpha(self, t: float, T: float, state: State | None = None) -> float:
        """Return alpha at time t, the fraction of eps_g in [0, 1]; after T the value at T.

        Args:
            t: time since the start of the run, in `unit`, 0 or more.
            T: length of the run in the same unit, more than 0.
            state: of a schedule that has one; None for its initial state.

        Raises:
            InvalidArgument: t is negative, or T is not positive.
        """
        if not (T > 0 and math.isfinite(T)):
            raise InvalidArgument("T", T, "a run length above 0")
        if not t >= 0:
            raise InvalidArgument("t", t, "a time of at least 0")
        return self._alpha(min(t, T), T, self.initial_state() if state is None else state)

    @abstractmethod
    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        """Return alpha for 0 <= t <= T."""

    def _times(self) -> dict[str, float]:
        """Return the options that are times by their names, in `unit`."""
        return {}

    def check(self, horizon: Horizon) -> None:
        """Raise `InvalidArgument` if a time lies after the end of the run."""
        lengths = {"fraction": 1, "epoch": horizon.epochs, "step": horizon.steps}
        length = lengths[self.unit]
        for name, time in self._times().items():
            if time > length:
                raise InvalidArgument(
                    f"schedule.{name}",
                    spell_time(time, self.unit),
                    f"at most the run's {spell_time(length, self.unit)}",
                    "lower it, train for longer, or write schedule.unit=fraction",
                )

    # By default a schedule has no warnings and no state.
    def warnings(self, horizon: Horizon) -> list[str]:
        """Return warnings of options that are valid but unlikely to be meant in this run."""
        return []

    def initial_state(self) -> State | None:
        """Return the state before the first epoch; None for a schedule without a state."""
        return None

    def start_at(self, state: State | None, alpha: float) -> State | None:
        """Return the state of a run whose backbone withstands `alpha`, a fraction of eps_g.

        Only an adaptive schedule uses it.
        """
        return state

    def watch(self, state: State | None, t: float, T: float, skill: float) -> State | None:
        """Return the next state after a step, from the skill on its batch.

        Args:
            state: the previous state; it is not changed.
            t: time at the end of the step, in `unit`.
            T: length of the run, in `unit`.
            skill: accuracy beyond chance on the batch, at the strength of the step: 0 for the best
                constant answer, 1 for perfect (`rampart.skill`).
        """
        return state

    def observe(
        self,
        state: State | None,
        t: float,
        T: float,
        metric: float,
    ) -> State | None:
        """Return the next state after an epoch, from the clean validation accuracy.

        Args:
            state: the previous state; it is not changed.
            t: time at the end of the epoch, in `unit`.
            T: length of the run, in `unit`.
            metric: clean accuracy on the validation split, a fraction in [0, 1].
        """
        return state


SCHEDULES: Registry[Schedule] = Registry("schedule")
