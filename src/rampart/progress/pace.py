"""The rate of work and its remaining time, from how far it was at which times."""

import time
from collections import deque
from dataclasses import dataclass, field

from rampart.counting import counted, spell_hours
from rampart.progress.work import Work

#: The rate is that of this last part of the time so far: work may become slower or faster.
RECENT = 0.8


@dataclass
class Pace:
    """How fast a piece of work goes.

    Attributes:
        work: the work.
        done: units that are done.
        note: what the work says besides.
    """

    work: Work
    done: int = 0
    note: str = ""
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.done = self.work.done
        self._start = time.monotonic()
        self._marks.append((self._start, self.done))

    def update(self, done: int, note: str = "") -> None:
        """Note that so many units are done now."""
        now = time.monotonic()
        self.done, self.note = min(done, self.work.total), note
        # A mark for each hundredth of the time suffices.
        if now - self._marks[-1][0] > (now - self._start) / 100:
            self._marks.append((now, self.done))
        while len(self._marks) > 2 and self._marks[1][0] < now - RECENT * (now - self._start):
            self._marks.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float | None:
        """Units a second; None if none is done yet."""
        (since, before), (until, after) = self._marks[0], self._marks[-1]
        return (after - before) / (until - since) if after > before and until > since else None

    @property
    def remaining(self) -> float | None:
        """Seconds until the end at this pace; None before there is a pace."""
        (since, before), (until, after) = self._marks[0], self._marks[-1]
        cost = self.work.cost
        spent, left = cost(after) - cost(before), cost(self.work.total) - cost(after)
        if not (spent > 0 and until > since):
            return None
        return max(0.0, left * (until - since) / spent - (time.monotonic() - until))

    def spell(self) -> str:
        """Return the progress, the rate and the remaining time as one line.

        Such as "120 of 1,000 images, 2.3 images/s, about 6 minutes left".
        """
        unit = counted(self.work.total, self.work.unit).split(" ", 1)[1]
        parts = [f"{self.done:,} of {self.work.total:,} {unit}"]
        parts += [self.note] if self.note else []
        if self.rate is not None:
            parts.append(spell_rate(self.rate, self.work.unit))
        if self.remaining is not None:
            parts.append(f"{spell_hours(self.remaining / 3600)} left")
        return ", ".join(parts)


def spell_rate(rate: float, unit: str) -> str:
    """Return units a second, a minute or an hour, whichever is the first to reach 1.

    Example:
        >>> spell_rate(0.05, "image")
        '3.0 images/min'
    """
    units = counted(2, unit).split(" ", 1)[1]
    for factor, per in ((1, "s"), (60, "min"), (3600, "h")):
        if rate * factor >= 1 or per == "h":
            break
    number = rate * factor
    return f"{number:,.0f} {units}/{per}" if number >= 100 else f"{number:.1f} {units}/{per}"
