"""How far a search is: its runs, of which one that trains counts by its epochs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rampart.experiments.tuning.session import Session, Watcher
from rampart.experiments.tuning.trials import Report, Trial
from rampart.progress.work import Update, working


@contextmanager
def counting(session: Session) -> Iterator[Watcher]:
    """Show how far the search is while the watcher of the session sees its events."""
    counted = Counting(session)
    total = session.total_runs
    with working("search", total, "run", done=counted.done, seconds=session.seconds) as update:
        counted.update = update
        yield counted


class Counting:
    """Counts the runs that have ended, and the epochs of the others; tells the session's watcher.

    A run that was stopped early counts as a whole one.
    """

    update: Update

    def __init__(self, session: Session) -> None:
        self._watcher, self._epochs = session.watcher, session.search.config.training.epochs
        self._ended = sum(trial.ended for trial in session.known.values())
        open_ones = {name for name, trial in session.known.items() if not trial.ended}
        self._reached = {one.trial: one.epoch for one in session.reports if one.trial in open_ones}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the display: Ray writes a copy of its callbacks to the disk."""
        return {name: value for name, value in vars(self).items() if name != "update"}

    @property
    def done(self) -> float:
        """Number of runs, with a fraction for those that train."""
        return self._ended + sum(self._reached.values()) / self._epochs

    def on_start(self, trial: Trial) -> None:
        """Receive a trial that starts or resumes."""
        self._watcher.on_start(trial)

    def on_epoch(self, trial: Trial, report: Report) -> None:
        """Count an epoch."""
        self._watcher.on_epoch(trial, report)
        self._reached[trial.name] = report.epoch
        self.update(self.done)

    def on_end(self, trial: Trial) -> None:
        """Count a run."""
        self._watcher.on_end(trial)
        self._reached.pop(trial.name, None)
        self._ended += 1
        self.update(self.done)
