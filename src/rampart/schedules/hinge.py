"""Constant strength, and ramps from 0 to eps_g: two-hinge and its relatives.

`unit` says whether times are fractions of the run, epochs or steps. Source of constant, two-hinge,
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
    """Return the factor that brings a time into the unit of t."""
    return T if unit == "fraction" else 1.0


@SCHEDULES.register("fix")
@dataclass(frozen=True)
class Fix(Schedule):
    """RFT-fix: constant strength, alpha(t) = `value`.

        >>> [Fix(0.5).alpha(t, 50) for t in (0, 25, 50)]
        [0.5, 0.5, 0.5]

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
    """Standard fine-tuning without an attack: alpha(t) = 0.

    Example:
        >>> [Standard().alpha(t, 50) for t in (0, 25, 50)]
        [0.0, 0.0, 0.0]
    """

    def _alpha(self, _t: float, _T: float, _state: State | None, /) -> float:
        return 0.0


@dataclass(frozen=True)
class _TwoTimes(Schedule):
    """The common options of two-hinge and smoothed."""

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

        alpha(t) = 0                      for t < T1
                   (t - T1) / (T2 - T1)   for T1 <= t < T2
                   1                      for t >= T2

    The publication has T = 50 epochs, T1 = 12 and T2 = 37; the default rounds them to fractions.
    Source: arXiv 2509.23325, section 4.

        >>> [TwoHinge.at_epochs(12, 37).alpha(t, 50) for t in (6, 24.5, 40)]
        [0.0, 0.5, 1.0]

    Attributes:
        start: T1.
        end: T2, not before T1.
        unit: the unit of T1 and T2: "fraction" of the run, "epoch" or "step".
    """

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        return self._progress(t, T)


@SCHEDULES.register("linear-warmup")
@dataclass(frozen=True)
class LinearWarmup(Schedule):
    """A linear ramp from the first step: two-hinge with T1 = 0.

        alpha(t) = t / T2   for t < T2
                   1        for t >= T2

        >>> [LinearWarmup(36, "epoch").alpha(t, 50) for t in (0, 18, 36)]
        [0.0, 0.5, 1.0]

    Attributes:
        end: T2.
        unit: the unit of T2: "fraction" of the run, "epoch" or "step".
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
    """End-to-end linear: alpha(t) = t / T, two-hinge with T1 = 0 and T2 = T.

    Example:
        >>> [Linear().alpha(t, 50) for t in (0, 25, 50)]
        [0.0, 0.5, 1.0]
    """

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        return ramp(t, 0.0, T)


@SCHEDULES.register("switch")
@dataclass(frozen=True)
class Switch(Schedule):
    """A jump from 0 to eps_g: two-hinge with T1 = T2.

        alpha(t) = 0   for t < at
                   1   for t >= at

    The publication finds it unstable: accuracy collapses at the jump, and does not recover unless
    the jump comes early. Source: arXiv 2509.23325, ablation T1 = T2.

        >>> [Switch(12, "epoch").alpha(t, 50) for t in (11.9, 12, 50)]
        [0.0, 1.0, 1.0]

    Attributes:
        at: the time of the jump.
        unit: the unit of `at`: "fraction" of the run, "epoch" or "step".
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

        alpha(t) = 0                                           for t < T1
                   (1 - cos(pi (t - T1) / (T2 - T1))) / 2      for T1 <= t < T2
                   1                                           for t >= T2

    The steepest slope is pi / 2 times that of two-hinge.

        >>> [round(Smoothed.at_epochs(10, 40).alpha(t, 50), 6) for t in (10, 20, 25)]
        [0.0, 0.25, 0.5]

    Attributes:
        start: T1.
        end: T2, not before T1.
        unit: the unit of T1 and T2: "fraction" of the run, "epoch" or "step".
    """

    def _alpha(self, t: float, T: float, _state: State | None, /) -> float:
        # Equal to (1 - cos(pi x)) / 2, and exact near 0.
        return math.sin(math.pi / 2 * self._progress(t, T)) ** 2


@SCHEDULES.register("piecewise")
@dataclass(frozen=True)
class PiecewiseLinear(Schedule):
    """Straight lines between points (t_i, a_i), i = 1 ... n.

        alpha(t) = a_1                                                        for t < t_1
                   a_i + (a_{i+1} - a_i) (t - t_i) / (t_{i+1} - t_i)          for t_i <= t < t_{i+1}
                   a_n                                                        for t >= t_n

        >>> points = ((10, 0.0), (20, 0.5), (40, 1.0))
        >>> [PiecewiseLinear(points, "epoch").alpha(t, 50) for t in (15, 30, 50)]
        [0.25, 0.75, 1.0]

    Attributes:
        points: pairs (time, alpha) with increasing times and alpha in [0, 1].
        unit: the unit of the times: "fraction" of the run, "epoch" or "step".
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
                expected = f"a time after that of the previous point, {limit}"
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
