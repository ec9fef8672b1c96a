"""One session of a search: its budget, what earlier sessions left, and the trials to come."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rampart.errors import InvalidArgument
from rampart.experiments.tuning.space import Settings, name_of
from rampart.experiments.tuning.trials import Report, Search, Trial

#: Of a search whose budget is given in minutes.
MOST_RUNS = 10_000


@dataclass(frozen=True)
class Budget:
    """The end of a search, over all its sessions: whichever comes first.

    Attributes:
        runs: number of trials.
        minutes: of wall time.
    """

    runs: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.runs is None and self.minutes is None:
            raise InvalidArgument(
                "--runs", "", "a budget", "write --runs 16, or --minutes 30 as the publication"
            )
        if self.runs is not None and self.runs < 1:
            raise InvalidArgument("--runs", self.runs, "1 or more")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise InvalidArgument("--minutes", self.minutes, "a number above 0")


class Watcher(Protocol):
    """An observer of a search; it never changes the results."""

    def on_start(self, trial: Trial) -> None:
        """Receive a trial that starts or resumes."""

    def on_epoch(self, trial: Trial, report: Report) -> None:
        """Receive an epoch of a trial."""

    def on_end(self, trial: Trial) -> None:
        """Receive a trial that has ended."""


class Session:
    """One session of a search: what earlier ones left, and its rest."""

    def __init__(
        self, search: Search, budget: Budget, starts: Sequence[Settings], watcher: Watcher
    ) -> None:
        self.search, self.watcher = search, watcher
        self.known = {trial.name: trial for trial in search.trials()}
        self.reports = search.reports()
        self.seconds_before = max((report.seconds for report in self.reports), default=0.0)
        ended = [trial for trial in self.known.values() if trial.ended]
        runs = MOST_RUNS if budget.runs is None else budget.runs
        self.runs = max(0, runs - len(ended))
        #: Of all sessions; None if only time bounds the search.
        self.total_runs = None if budget.runs is None else len(ended) + self.runs
        self.seconds = (
            math.inf if budget.minutes is None else budget.minutes * 60 - self.seconds_before
        )
        unfinished = [trial.settings for trial in self.known.values() if not trial.ended]
        fresh = [point for point in starts if name_of(point) not in self.known]
        self.points = [*unfinished, *fresh][: self.runs]

    @property
    def left(self) -> bool:
        """Whether the budget has a rest."""
        return self.runs > 0 and self.seconds > 0

    def draws(self) -> Iterator[Settings]:
        """Yield the trials that are left; an uninterrupted search has the same."""
        yield from self.points
        known = {*self.known, *map(name_of, self.points)}
        for number in itertools.count():
            drawn = self.search.space.draw(self.search.config.seed, number)
            if name_of(drawn) not in known:
                yield drawn
