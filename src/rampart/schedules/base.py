"""The contract of a schedule: a frozen value with a pure alpha(t, T)."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

from rampart.errors import InvalidArgument
from rampart.registry import Registry
from rampart.schedules.times import TimeUnit, spell_time
from rampart.units import Horizon

#: What a schedule has learned from the run so far: plain values that JSON can hold.
State = dict[str, Any]


@dataclass(frozen=True)
class Schedule(ABC):
    """A function alpha(t, T) with values in [0, 1]; eps(t) = alpha(t) · eps_g.

    A subclass defines `_alpha`; one with times also `_times`; one that follows the run also
    `initial_state` and `observe` (validation, between epochs) or `watch` (training, every step).
    An option that is out of range raises `InvalidArgument` at construction.
    """

    @property
    def unit(self) -> TimeUnit:
        """The unit of its times, and of t and T; "fraction" accepts any, the same for both."""
        return "fraction"

    @property
    def needs_validation(self) -> bool:
        """Whether it must be shown the validation accuracy after every epoch."""
        return False

    @property
    def needs_accuracy(self) -> bool:
        """Whether it must be shown the accuracy on the batch after every step."""
        return False

    @property
    def arrival(self) -> float | None:
        """Fraction of the run by which the target is reached for certain; None where unknown."""
        return None

    @property
    def pilot(self) -> float:
        """Fraction of the run for which full strength is tried first, by `rampart train`.

        A pilot that fails starts the run over, which a schedule cannot do by itself.
        """
        return 0.0

    @final
    def alpha(self, t: float, T: float, state: State | None = None) -> float:
        """Return the fraction of eps_g at time t, in [0, 1]; beyond T the value at T.

        Args:
            t: time since the start of the run, in `unit`, 0 or more.
            T: length of the run in the same unit, more than 0.
            state: for a schedule with a state; None stands for its initial state.

        Raises:
            InvalidArgument: t is negative, or T is not positive.
        """
        if not (T > 0 and math.isfinite(T)):
            raise InvalidArgument("T", T, "a positive length of the run")
        if not t >= 0:
            raise InvalidArgument("t", t, "a time from 0 on")
        return self._alpha(min(t, T), T, self.initial_state() if state is None else state)

    @abstractmethod
    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        """Return alpha for 0 <= t <= T."""

    def _times(self) -> dict[str, float]:
        """Return the options that are times, by name, in `unit`."""
        return {}

    def check(self, horizon: Horizon) -> None:
        """Raise `InvalidArgument` if a time lies beyond the run."""
        lengths = {"fraction": 1, "epoch": horizon.epochs, "step": horizon.steps}
        length = lengths[self.unit]
        for name, time in self._times().items():
            if time > length:
                raise InvalidArgument(
                    f"schedule.{name}",
                    spell_time(time, self.unit),
                    f"at most the run's {spell_time(length, self.unit)}",
                    "lower it, lengthen the run, or state times as fractions of the run",
                )

    # Most schedules have nothing to warn of and nothing to learn: arguments of the contract only.
    def warnings(self, horizon: Horizon) -> list[str]:
        """Return sentences on what is allowed but hardly meant in a run of this length."""
        return []

    def initial_state(self) -> State | None:
        """Return the state before the first epoch; None for a schedule without a state."""
        return None

    def start_at(self, state: State | None, alpha: float) -> State | None:
        """Return the state of a run whose backbone withstands `alpha`, a fraction of eps_g,
        already.

        Only a schedule that adapts makes use of it.
        """
        return state

    def watch(self, state: State | None, t: float, T: float, skill: float) -> State | None:
        """Return the next state, given how the model did on the batch of a step.

        Args:
            state: the state before; it is not changed.
            t: time at the end of the step, in `unit`.
            T: length of the run, in `unit`.
            skill: accuracy on the batch at the strength that it was trained with, beyond chance:
                0 for the best constant answer and 1 for perfect (`rampart.skill`).
        """
        return state

    def observe(
        self,
        state: State | None,
        t: float,
        T: float,
        metric: float,
    ) -> State | None:
        """Return the next state, given the validation clean accuracy at the end of an epoch.

        Args:
            state: the state before; it is not changed.
            t: time at the end of the epoch, in `unit`.
            T: length of the run, in `unit`.
            metric: clean accuracy on the validation split, a fraction in [0, 1].
        """
        return state


SCHEDULES: Registry[Schedule] = Registry("schedule")
