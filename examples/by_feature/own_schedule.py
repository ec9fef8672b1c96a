"""Your own schedule: a frozen dataclass with one function.

python examples/by_feature/own_schedule.py
rampart --import examples/by_feature/own_schedule.py preview power
"""

from dataclasses import dataclass

from rampart.schedules.base import SCHEDULES, Schedule, State
from rampart.schedules.preview import preview
from rampart.units import Horizon, format_eps


@SCHEDULES.register("power")
@dataclass(frozen=True)
class Power(Schedule):
    """alpha = (t / T) ** power."""

    power: float = 2.0

    def _alpha(self, t: float, T: float, state: State | None, /) -> float:
        return (t / T) ** self.power


if __name__ == "__main__":
    schedule = SCHEDULES.build("power", {"power": 3})
    for row in preview(schedule, "8/255", Horizon(4, 10), "epoch"):
        print(f"epoch {row.epoch:.0f}: alpha {row.alpha:.3f}, eps {format_eps(row.eps)}")
