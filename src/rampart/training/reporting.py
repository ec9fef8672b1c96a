"""The progress of a run: nothing, lines, or a progress bar with one line per epoch."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rampart.errors import visible
from rampart.terminal import Terminal
from rampart.units import Horizon, format_eps

#: A ramp passes through fractions of a gray level; eps is printed in gray levels.
_LEVEL = 1 / 255


class Reporter(Protocol):
    """Receives the events of the loop and never changes the run."""

    def start(self, name: str, horizon: Horizon, done: int) -> None:
        """A run begins, or resumes after `done` steps."""

    def step(self, epoch: int, eps: float) -> None:
        """An optimizer step has ended."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch has ended; `row` is its history row."""

    def note(self, text: str) -> None:
        """A result decides how the run continues, such as that of the pilot."""

    def warn(self, text: str) -> None:
        """A monitor raised an alert for the epoch that has ended."""

    def stop(self) -> None:
        """The run has ended or failed."""


@contextmanager
def show_progress(reporter: Reporter, name: str, horizon: Horizon, done: int) -> Iterator[None]:
    """Start a reporter after `done` steps of the run, and stop it after the block."""
    reporter.start(name, horizon, done)
    try:
        yield
    finally:
        reporter.stop()


class Silent:
    """Shows nothing."""

    def start(self, name: str, horizon: Horizon, done: int) -> None:
        """Show nothing."""

    def step(self, epoch: int, eps: float) -> None:
        """Show nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Show nothing."""

    def stop(self) -> None:
        """Show nothing."""


class LineReporter(Silent):
    """One line when a run begins and after every epoch; more lines in long epochs."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._epochs = self._steps = self._done = 0
        self._progress = sparse_progress(lambda text: say(f"step {text}"))

    def start(self, name: str, horizon: Horizon, done: int) -> None:
        """Say which run begins, and from which step."""
        self._epochs, self._steps, self._done = horizon.epochs, horizon.steps, done
        self._say(f"{name}, from step {done} of {horizon.steps}" if done else name)

    def step(self, epoch: int, eps: float) -> None:
        """Say the step once a minute."""
        self._done += 1
        self._progress(self._done, self._steps)

    def epoch(self, row: dict[str, Any]) -> None:
        """Say the line of the epoch."""
        self._say(epoch_line(row, self._epochs))

    def note(self, text: str) -> None:
        """Say the text."""
        self._say(text)

    def warn(self, text: str) -> None:
        """Say the warning."""
        self._say(f"warning: {text}")


class ConsoleReporter:
    """A progress bar on a terminal, and one line per epoch everywhere."""

    def __init__(self, console: Terminal) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._epochs = 0
        self._print_progress = sparse_progress(lambda text: console.say(f"  step {text}"))

    def start(self, name: str, horizon: Horizon, done: int) -> None:
        """Print the name of the run and open the bar."""
        self.console.say(name, style="bold")
        self._epochs = horizon.epochs
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("eps {task.fields[eps]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._progress.start()
        self._task = self._progress.add_task(
            visible(name), total=horizon.steps, completed=done, eps="0"
        )

    def step(self, epoch: int, eps: float) -> None:
        """Move the bar."""
        if self._progress is not None:
            self._progress.update(self._task, advance=1, eps=format_eps(eps, _LEVEL))
            if not self.console.is_terminal:
                task = self._progress.tasks[self._task]
                self._print_progress(int(task.completed), int(task.total or 0))

    def epoch(self, row: dict[str, Any]) -> None:
        """Print the line of the epoch."""
        line = epoch_line(row, self._epochs)
        self.console.say(f"  {line}")

    def note(self, text: str) -> None:
        """Print the text."""
        self.console.say(text)

    def warn(self, text: str) -> None:
        """Print the warning on one line."""
        self.console.say(f"warning: {text}", style="yellow")

    def stop(self) -> None:
        """Close the bar."""
        if self._progress is not None:
            self._progress.stop()


def sparse_progress(say: Callable[[str], None], every: float = 60.0) -> Callable[[int, int], None]:
    """Return a function of (done, total) that says "DONE of TOTAL" once in `every` seconds."""
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= every:
            last = now
            say(f"{done} of {total}")

    return report


def epoch_line(row: dict[str, Any], epochs: int) -> str:
    """Return the history row of an epoch as one line; `epochs` is the length of the run."""
    robust = row.get("val_robust")
    return (
        f"epoch {row['epoch']:>3}/{epochs}  eps {format_eps(row['eps'], _LEVEL):>8}"
        f"  loss {row['train_loss']:5.2f}  validation {row['val_clean']:6.1%}"
        f"  at eps_g {'-' if robust is None else format(robust, '.1%'):>6}"
        f"  {row['seconds']:4.0f} s"
    )
