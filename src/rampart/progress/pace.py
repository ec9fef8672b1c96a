"""The rate of work and its remaining time, from how far it was at which times."""

import math
import time
from collections import deque
from dataclasses import dataclass, field

from rampart.counting import counted, spell_hours
from rampart.progress.work import Work

#: The rate is that of this last part of the time so far: work may become slower or faster.
RECENT = 0.8
#: Unless this part holds less than this share of the units: work that ends in waves pauses.
FEWEST = 0.1


@dataclass
class Pace:
    """How fast a piece of work goes.

    Attributes:
        work: the work.
        done: units that are done.
        note: what the work says besides.
    """

    work: Work
    done: float = 0
    note: str = ""
    _marks: deque[tuple[float, float]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.done = self.work.done
        self._start = time.monotonic()
        self._marks.append((self._start, self.done))

    def update(self, done: float, note: str = "") -> None:
        """Note that so many units are done now."""
        now, total = time.monotonic(), self.work.total
        self.done, self.note = done if total is None else min(done, total), note
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
        (since, before), (until, after) = self._part
        return (after - before) / (until - since) if after > before and until > since else None

    @property
    def remaining(self) -> float | None:
        """Seconds until the end at this pace, or until time is up; None if neither is known."""
        left = min(self._remaining_units, self.work.seconds - self.elapsed)
        return None if math.isinf(left) else max(0.0, left)

    @property
    def _remaining_units(self) -> float:
        """Seconds until all units are done at this pace; infinite if it is unknown."""
        (since, before), (until, after) = self._part
        cost, total = self.work.cost, self.work.total
        spent = cost(after) - cost(before)
        if total is None or not (spent > 0 and until > since):
            return math.inf
        left = cost(total) - cost(after)
        return left * (until - since) / spent - (time.monotonic() - until)

    @property
    def _part(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The time and the units done at the ends of the part that the rate is that of."""
        begun, recent, last = (self._start, self.work.done), self._marks[0], self._marks[-1]
        few = last[1] - recent[1] < FEWEST * (last[1] - begun[1])
        return (begun if few else recent), last

    def spell(self) -> str:
        """Return the progress, the rate and the remaining time as one line.

        Such as "120 of 1,000 images, 2.3 images/s, about 6 minutes left".
        """
        parts = [self._spell_done()]
        parts += [self.note] if self.note else []
        if self.rate is not None:
            parts.append(spell_rate(self.rate, self.work.unit))
        if self.remaining is not None:
            parts.append(f"{spell_hours(self.remaining / 3600)} left")
        return ", ".join(parts)

    def _spell_done(self) -> str:
        """Return the units that are done and the total; a fraction is not done."""
        done, total, unit = int(self.done), self.work.total, self.work.unit
        if total is None:
            return f"{done:,} {_noun(done, unit)}"
        return f"{done:,} of {total:,} {_noun(total, unit)}"


def spell_rate(rate: float, unit: str) -> str:
    """Return units a second, a minute or an hour, whichever is the first to reach 1.

    Example:
        >>> spell_rate(0.05, "image")
        '3.0 images/min'
    """
    units = _noun(2, unit)
    for factor, per in ((1, "s"), (60, "min"), (3600, "h")):
        if rate * factor >= 1 or per == "h":
            break
    number = rate * factor
    return f"{number:,.0f} {units}/{per}" if number >= 100 else f"{number:.1f} {units}/{per}"


def _noun(number: int, unit: str) -> str:
    """Return the noun of so many units."""
    return counted(number, unit).split(" ", 1)[1]
