"""One trial: a run in a process of Ray that reports every epoch."""

import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rampart.errors import RampartError
from rampart.experiments.tuning.space import Settings, name_of, with_settings
from rampart.experiments.tuning.trials import Search
from rampart.plugins import import_parts
from rampart.recipes.config.loading import change_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.pilot import pilot_epochs
from rampart.recipes.train import train_run
from rampart.runs.history import History, Row
from rampart.runs.run_folder import RunFolder
from rampart.training.interrupts import Interrupted
from rampart.training.reporting import Silent
from rampart.units import Horizon


class StoppedTrial(Interrupted):
    """ASHA stopped the run of a trial."""

    def __init__(self, epoch: int) -> None:
        RampartError.__init__(self, f"stopped by the search after epoch {epoch}")


class EpochReporter(Silent):
    """Reports every epoch of the run; the epochs of a pilot only once it has passed.

    A resumed run first reports the epochs that it finished before.
    """

    def __init__(self, folder: RunFolder, has_pilot: bool, report: Callable[[Row], None]) -> None:
        self._folder, self._has_pilot, self._report = folder, has_pilot, report
        self._undecided = False
        self._reported = 0

    def start(
        self, name: str, horizon: Horizon, done: int, cost: Callable[[float], float] = float
    ) -> None:
        """Report the epochs that the run already has."""
        self._undecided = self._has_pilot and "pilot" not in self._folder.facts()
        if not self._undecided:
            for row in History(self._folder.history).rows():
                self.epoch(row)

    def epoch(self, row: dict[str, Any]) -> None:
        """Report the epoch, unless it has been reported: epochs of a clean baseline come twice."""
        if not self._undecided and row["epoch"] > self._reported:
            self._reported = row["epoch"]
            self._report(row)


def trial_config(search: Search, settings: Settings) -> RunConfig:
    """Return the configuration of a trial's run: only the searched settings change its results."""
    more = ["training.monitors=false"]
    if search.metric == "expected":
        # It is measured where the best epoch is chosen by it.
        more.append("training.checkpoint=best")
    return change_config(with_settings(search.config, settings), more)


def train_trial(settings: Settings, search: Search, report: Callable[[Row], None]) -> None:
    """Train one trial, or resume it.

    Raises:
        StoppedTrial: `report` raised `SystemExit`, by which Ray ends a trial.
        RampartError: the run failed.
    """
    config, folder = trial_config(search, settings), search.run(name_of(settings))
    if not folder.exists():
        # A start that was killed may have left files.
        shutil.rmtree(folder.path, ignore_errors=True)

    def report_or_stop(row: Row) -> None:
        try:
            report(row)
        except SystemExit:
            raise StoppedTrial(row["epoch"]) from None

    reporter = EpochReporter(folder, pilot_epochs(config) > 0, report_or_stop)
    train_run(config, folder.path, resume=folder.exists(), reporter=reporter)


def run_trial(config: dict[str, Any], search: Search, threads: int, imports: Sequence[str]) -> None:
    """Carry out a trial in a process of Ray; `config` holds its settings."""
    import torch
    from ray import tune

    torch.set_num_threads(threads)
    for place in imports:
        import_parts(place)

    def report(row: Row) -> None:
        tune.report({"epoch": row["epoch"], "value": search.value(row)})

    settings = dict(config)
    try:
        train_trial(settings, search, report)
    except StoppedTrial:
        sys.exit(0)
    except Exception as error:
        search.save_failure(search.trial(name_of(settings)), error)
        raise
