"""Progress as bars on a terminal; they are gone when the work ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from rampart.errors import visible
from rampart.progress.pace import Pace, spell_rate
from rampart.progress.work import Update, Work
from rampart.terminal import Terminal

#: Columns that the name and the bar take, so that a line fits 80.
NAME, BAR = 20, 10


class Bars:
    """One bar for each piece of work, at the bottom of a terminal."""

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._progress = _progress(console)
        self._open = 0

    def tell(self, text: str) -> None:
        """Print the sentence above the bars."""
        self._console.say(text)

    @contextmanager
    def begin(self, work: Work) -> Iterator[Update]:
        """Draw a bar during the block."""
        pace = Pace(work)
        if not self._open:
            self._progress.start()
        self._open += 1
        task = self._progress.add_task(visible(work.name), total=work.total, pace=pace)
        self._progress.update(task, completed=work.done)

        def update(done: float, note: str = "") -> None:
            pace.update(done, note)
            self._progress.update(task, completed=pace.done)

        try:
            yield update
        finally:
            self._progress.remove_task(task)
            self._open -= 1
            if not self._open:
                self._progress.stop()
                # A display that has stopped does not start again.
                self._progress = _progress(self._console)


def _progress(console: Terminal) -> Progress:
    name = Column(max_width=NAME, no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(BAR),
        _PaceColumn(table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        transient=True,
    )


class _PaceColumn(ProgressColumn):
    """Numbers, the remaining time, the rate and the note: "12/100  0:00:41 left  2.1 images/s"."""

    def render(self, task: Task) -> Text:
        """Return the text of one bar."""
        pace: Pace = task.fields["pace"]
        total = pace.work.total
        parts = [str(int(pace.done)) + ("" if total is None else f"/{total}")]
        remaining, rate = pace.remaining, pace.rate
        if remaining is not None:
            parts.append(f"{timedelta(seconds=round(remaining))} left")
        if rate is not None:
            parts.append(spell_rate(rate, pace.work.unit))
        return Text("  ".join([*parts, *([pace.note] if pace.note else [])]))
