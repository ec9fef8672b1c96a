"""The units of the times of schedules: fractions of the run, epochs or steps."""

import math
from typing import Literal, get_args

from rampart.counting import counted
from rampart.errors import InvalidArgument, UnknownName

TimeUnit = Literal["fraction", "epoch", "step"]


def spell_time(time: float, unit: TimeUnit) -> str:
    """Return a time with its unit: "37 epochs", "1 step", "0.75 of the run"."""
    if unit == "fraction":
        return f"{time:g} of the run"
    return counted(time, unit)


def check_time(name: str, time: float, unit: TimeUnit) -> None:
    """Check a time and its unit, without the length of the run.

    Raises:
        UnknownName: the unit is not "fraction", "epoch" or "step".
        InvalidArgument: a time that is negative or not finite, or a fraction above 1.
    """
    if unit not in get_args(TimeUnit):
        raise UnknownName("unit of time", str(unit), get_args(TimeUnit))
    if unit == "fraction":
        advice = "for epochs or steps write unit=epoch or unit=step" if time > 1 else ""
        check_fraction_of_run(name, time, advice)
    elif not (time >= 0 and math.isfinite(time)):
        raise InvalidArgument(f"schedule.{name}", spell_time(time, unit), "a time of at least 0")


def check_fraction_of_run(name: str, fraction: float, advice: str = "") -> None:
    """Raise `InvalidArgument` unless the schedule's option `name` is in [0, 1]."""
    if not 0 <= fraction <= 1:
        expected = "a fraction of the run in [0, 1]"
        raise InvalidArgument(f"schedule.{name}", f"{fraction:g}", expected, advice)
