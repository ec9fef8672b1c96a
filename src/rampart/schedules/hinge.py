"""Constant strength, and ramps from 0 to eps_g: two-hinge and its relatives.

Times are fractions of the run, epochs or steps, as `unit` says. Source of constant, two-hinge,
linear warm-up, end-to-end linear and switch: arXiv 2509.23325, section 4 and its ablations.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Self

from rampart.errors import InvalidArgument
from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.times import TimeUnit, check_time, spell_time


def ramp(t: float, start: float, end: float) -> float:
    """Return 0 before `start`, (t - start) / (end - start) in between, 1 from `end` on."""
    if t >= end:
        return 1.0
    return (t - start) / (end - start) if t > start else 0.0


def _length(unit: TimeUnit, T: float) -> float:
    """What a time is multiplied by so that it can be compared with t."""
    return T if unit == "fraction" else 1.0


@SCHEDULES.register("fix")
@dataclass(frozen=True)
class Fix(Schedule):
    """RFT-fix: the same strength from the first step to the last, alpha(t) = `value`.

    Attributes:
        value: the constant fraction of eps_g, in [0, 1].
    """

    value: float = 1.0

    def __post_init__(self) -> None:
        check_alpha("value", self.value)

    def _alpha(self, _t: float, _T: float, _state: State | None, /) -> float:
        return self.value


@SCHEDULES.register("standard")
@dataclass(frozen=True)
class Standard(Schedule):
    """Standard fine-tuning: alpha(t) = 0, nothing is ever attacked."""

    def _alpha(self, _t: float, _T: float, _state: State | None, /) -> float:
        return 0.0


@dataclass(frozen=True)
class _TwoTimes(Schedule):
    """Options that two-hinge and smoothed share."""

    start: float = 0.25
    end: float = 0.75
    unit: TimeUnit = "fraction"

    def __post_init__(self) -> None:
        for name, time in self._times().items():
            check_time(name, time, self.unit)
        if self.start > self.end:
            got, limit = (spell_time(time, self.unit) for time in (self.start, self.end))
            raise InvalidArgument("schedule.start", got, f"at most schedule.end, {limit}")

    @classmethod
    def at_fractions(cls, start: float, end: float) -> Self:
        """Times as fractions of the run, in [0, 1]."""
        return cls(start, end, "fraction")

    @classmethod
    def at_epochs(cls, start: float, end: float) -> Self:
        """Times in epochs from the start of the run."""
        return cls(start, end, "epoch")

    @classmethod
    def at_steps(cls, start: float, end: float) -> Self:
        """Times in optimizer steps from the start of the run."""
        return cls(start, end, "step")

    def _times(self) -> dict[str, float]:
        return {"start": self.start, "end": self.end}

    def _progress(self, t: float, T: float) -> float:
        length = _length(self.unit, T)
        return ramp(t, self.start * length, self.end * length)


@SCHEDULES.register("two-hinge")
@dataclass(frozen=True)
class TwoHinge(_TwoTimes):
    """Epsilon-Scheduling: no attack until T1, a linear ramp, full strength from T2 on.

    alpha(t) = 0 for t < T1; (t - T1) / (T2 - T1) for T1 <= t < T2; 1 for t >= T2.
    The publication runs T = 50 epochs with `TwoHinge.at_epochs(12, 37)`; the default is its
    rounding to shares. Source: arXiv 2509.23325, section 4.

    Attributes:
        start: T1.
        end: T2, not before T1.
        unit: what T1 and T2 are stated in: "fraction" of the run, "epoch" or "step".
    """

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        return self._progress(t, T)


@SCHEDULES.register("linear-warmup")
@dataclass(frozen=True)
class LinearWarmup(Schedule):
    """A linear ramp from the first step: two-hinge with T1 = 0.

    Attributes:
        end: T2, where the full strength is reached.
        unit: what T2 is stated in: "fraction" of the run, "epoch" or "step".
    """

    end: float = 0.75
    unit: TimeUnit = "fraction"

    def __post_init__(self) -> None:
        check_time("end", self.end, self.unit)

    def _times(self) -> dict[str, float]:
        return {"end": self.end}

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        return ramp(t, 0.0, self.end * _length(self.unit, T))


@SCHEDULES.register("linear")
@dataclass(frozen=True)
class Linear(Schedule):
    """End-to-end linear: alpha(t) = t / T, two-hinge with T1 = 0 and T2 = T."""

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        return ramp(t, 0.0, T)


@SCHEDULES.register("switch")
@dataclass(frozen=True)
class Switch(Schedule):
    """A jump from 0 to eps_g: alpha(t) = 0 for t < `at`, 1 from then on.

    Published as unstable: accuracy collapses at the jump and, unless it comes early, does not
    recover. Source: arXiv 2509.23325, ablation T1 = T2.

    Attributes:
        at: the time of the jump.
        unit: what it is stated in: "fraction" of the run, "epoch" or "step".
    """

    at: float = 0.25
    unit: TimeUnit = "fraction"

    def __post_init__(self) -> None:
        check_time("at", self.at, self.unit)

    def _times(self) -> dict[str, float]:
        return {"at": self.at}

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        return float(t >= self.at * _length(self.unit, T))


@SCHEDULES.register("smoothed")
@dataclass(frozen=True)
class Smoothed(_TwoTimes):
    """Two-hinge whose ramp starts and ends without a kink: half a cosine wave.

    alpha = (1 - cos(pi x)) / 2 with x the two-hinge value at the same time. The steepest slope is
    pi / 2 times that of two-hinge.

    Attributes:
        start: T1.
        end: T2, not before T1.
        unit: what T1 and T2 are stated in: "fraction" of the run, "epoch" or "step".
    """

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        # The same as (1 - cos(pi x)) / 2, and exact near 0, where the cosine cancels.
        return math.sin(math.pi / 2 * self._progress(t, T)) ** 2


@SCHEDULES.register("piecewise")
@dataclass(frozen=True)
class PiecewiseLinear(Schedule):
    """Straight lines between points: any shape, and schedules joined one after the other.

    Before the first point alpha is the first one's, after the last point the last one's.

    Attributes:
        points: pairs (time, alpha), times increasing, alpha in [0, 1].
        unit: what the times are stated in: "fraction" of the run, "epoch" or "step".
    """

    points: tuple[tuple[float, float], ...] = ((0.25, 0.0), (0.75, 1.0))
    unit: TimeUnit = "fraction"

    def __post_init__(self) -> None:
        if not self.points:
            raise InvalidArgument("schedule.points", "nothing", "at least one pair (time, alpha)")
        for index, (time, alpha) in enumerate(self.points):
            check_time(f"points[{index}]", time, self.unit)
            check_alpha(f"points[{index}]", alpha)
            before = self.points[index - 1][0] if index else -math.inf
            if not time > before:
                got, limit = (spell_time(value, self.unit) for value in (time, before))
                expected = f"a time after the point before it, {limit}"
                raise InvalidArgument(f"schedule.points[{index}]", got, expected)

    def _times(self) -> dict[str, float]:
        return {f"points[{index}]": time for index, (time, _) in enumerate(self.points)}

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        length = _length(self.unit, T)
        times = [time * length for time, _ in self.points]
        after = bisect_right(times, t)
        if after in (0, len(times)):
            return self.points[max(0, after - 1)][1]
        (_, low), (_, high) = self.points[after - 1 : after + 1]
        x = ramp(t, times[after - 1], times[after])
        return (1 - x) * low + x * high


def check_alpha(name: str, alpha: float) -> None:
    """Raise `InvalidArgument` unless `alpha` is a fraction of eps_g in [0, 1]."""
    if not 0 <= alpha <= 1:
        raise InvalidArgument(
            f"schedule.{name}", f"{alpha:g}", "alpha, a fraction of eps_g in [0, 1]"
        )
