"""The events of a run, as nothing or as lines; how far it is goes to the display."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from rampart.progress.work import Update, working
from rampart.terminal import Terminal
from rampart.units import Horizon, format_eps

#: A ramp passes through fractions of a gray level; eps is printed in gray levels, as under Linf,
#: unless it is as large as under other norms.
_LEVEL, _LARGE = 1 / 255, 64 / 255


class Reporter(Protocol):
    """Receives the events of the loop and never changes the run."""

    def start(
        self, name: str, horizon: Horizon, done: int, cost: Callable[[float], float] = float
    ) -> None:
        """A run begins, or resumes after `done` steps; `cost` as in `Work`, of steps."""

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
def show_progress(
    reporter: Reporter,
    name: str,
    horizon: Horizon,
    done: int,
    cost: Callable[[float], float] = float,
) -> Iterator[None]:
    """Start a reporter after `done` steps of the run, and stop it after the block."""
    reporter.start(name, horizon, done, cost)
    try:
        yield
    finally:
        reporter.stop()


class Silent:
    """Shows nothing."""

    def start(
        self, name: str, horizon: Horizon, done: int, cost: Callable[[float], float] = float
    ) -> None:
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


class _Steps(Silent):
    """Shows the steps on the display of the context."""

    def __init__(self) -> None:
        self._shown, self._epochs, self._done = ExitStack(), 0, 0
        self._update: Update | None = None

    def start(
        self, name: str, horizon: Horizon, done: int, cost: Callable[[float], float] = float
    ) -> None:
        """Begin to show the steps."""
        self._epochs, self._done = horizon.epochs, done
        work = working(name, horizon.steps, "step", done=done, cost=cost)
        self._update = self._shown.enter_context(work)

    def step(self, epoch: int, eps: float) -> None:
        """Show one more step."""
        self._done += 1
        if self._update is not None:
            self._update(self._done, f"eps {_spell(eps)}")

    def stop(self) -> None:
        """Show no more steps."""
        self._update = None
        self._shown.close()


class LineReporter(_Steps):
    """One line when a run begins, and one after every epoch."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def start(
        self, name: str, horizon: Horizon, done: int, cost: Callable[[float], float] = float
    ) -> None:
        """Say which run begins, and from which step."""
        self._say(f"{name}, from step {done} of {horizon.steps}" if done else name)
        super().start(name, horizon, done, cost)

    def epoch(self, row: dict[str, Any]) -> None:
        """Say the line of the epoch."""
        self._say(epoch_line(row, self._epochs))

    def note(self, text: str) -> None:
        """Say the text."""
        self._say(text)

    def warn(self, text: str) -> None:
        """Say the warning."""
        self._say(f"warning: {text}")


class ConsoleReporter(_Steps):
    """The same lines on a console, indented below the name."""

    def __init__(self, console: Terminal) -> None:
        super().__init__()
        self.console = console

    def start(
        self, name: str, horizon: Horizon, done: int, cost: Callable[[float], float] = float
    ) -> None:
        """Print the name of the run."""
        self.console.say(name, style="bold")
        super().start(name, horizon, done, cost)

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


def epoch_line(row: dict[str, Any], epochs: int) -> str:
    """Return the history row of an epoch as one line; `epochs` is the length of the run."""
    robust = row.get("val_robust")
    return (
        f"epoch {row['epoch']:>3}/{epochs}  eps {_spell(row['eps']):>8}"
        f"  loss {row['train_loss']:5.2f}  validation {row['val_clean']:6.1%}"
        f"  at eps_g {'-' if robust is None else format(robust, '.1%'):>6}"
        f"  {row['seconds']:4.0f} s"
    )


def _spell(eps: float) -> str:
    return format_eps(eps, _LEVEL if eps < _LARGE else 1.0)
