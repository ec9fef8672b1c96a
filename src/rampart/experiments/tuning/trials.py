"""The files of a search.

search.json            how the search is done, and the configuration whose settings are searched
trials/NAME.json       settings, status and reason of a trial; NAME is a hash of the settings
trials/NAME/           the folder of its run; weights are deleted when it ends
trials/NAME-error.txt  the error of a failed trial, with its traceback
reports.jsonl          every reported epoch, in the order of arrival
tuned.yaml             the best configuration, for `rampart train`
trials.csv, trials.md  the table of all trials
spent.json             the best trial, and the budget that was spent
"""

import json
import math
import shutil
import traceback
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

from rampart.checksums import read_checked, with_checksum
from rampart.errors import (
    Diverged,
    InvalidArgument,
    RampartError,
    RunError,
    UnknownName,
    reason,
)
from rampart.experiments.tuning.space import Settings, Space, make_space, name_of
from rampart.files import is_scratch, require_output_folder, write_atomic
from rampart.recipes.config.differences import differences, spell_differences
from rampart.recipes.config.loading import dump_config, parse_config
from rampart.recipes.config.run_config import RunConfig
from rampart.runs.history import History, Row
from rampart.runs.lock import is_lock
from rampart.runs.run_folder import RunFolder

#: The file that says how a search is done.
SEARCH = "search.json"

Metric = Literal["clean", "expected", "loss"]
Sampler = Literal["random", "optuna"]
#: running: not ended, perhaps because the search was; stopped: by ASHA; diverged: the loss or the
#: weights were not finite.
Status = Literal["running", "complete", "stopped", "diverged", "failed"]
#: Trials that are never started again.
ENDED: tuple[Status, ...] = ("complete", "stopped", "diverged")
#: By metric: its name in a history row, and the sign with which more is better.
METRICS: dict[Metric, tuple[str, int]] = {
    "clean": ("val_clean", 1),
    "expected": ("val_expected", 1),
    "loss": ("val_robust_loss", -1),
}


class Report(NamedTuple):
    """One epoch of a trial.

    Attributes:
        trial: name of the trial.
        epoch: counted from 1.
        value: of the metric, with the sign with which more is better.
        seconds: of the search up to here, over all its sessions.
    """

    trial: str
    epoch: int
    value: float
    seconds: float


@dataclass(frozen=True)
class Trial:
    """One set of settings.

    Attributes:
        number: counted from 1, in the order of their starts.
        settings: values by key.
        status: how it ended.
        reason: of a failure.
    """

    number: int
    settings: Settings
    status: Status = "running"
    reason: str = ""

    @property
    def name(self) -> str:
        """Name of its files."""
        return name_of(self.settings)

    @property
    def ended(self) -> bool:
        """Whether it is never started again."""
        return self.status in ENDED


@dataclass(frozen=True)
class Search:
    """A search and its folder.

    Attributes:
        config: the configuration whose settings are searched; its seed keys the draws.
        output: folder of the search.
        metric: measured on the validation split after every epoch.
        sampler: how the settings are drawn.
        per_phase: whether the learning rates above eps = 0 are searched apart.
    """

    config: RunConfig
    output: Path
    metric: Metric = "clean"
    sampler: Sampler = "random"
    per_phase: bool = False

    @cached_property
    def space(self) -> Space:
        """The searched keys."""
        return make_space(self.config, self.per_phase)

    def value(self, row: Row) -> float:
        """Return the metric of a history row, with the sign with which more is better.

        Raises:
            Diverged: the metric is not finite.
        """
        column, sign = METRICS[self.metric]
        value = float(row[column])
        if not math.isfinite(value):
            raise Diverged(f"{column} is {value} after epoch {row['epoch']}.")
        return sign * value

    def spell(self, value: float | None) -> str:
        """Return a value of the metric for a table, without the sign; "" for None."""
        if value is None:
            return ""
        column, sign = METRICS[self.metric]
        return f"{sign * value:.4f}" if column.endswith("loss") else f"{value:.1%}"

    def open(self) -> None:
        """Write what is searched, or check that the folder holds the same search.

        Raises:
            RunError: the folder cannot be used, or holds something else.
        """
        require_output_folder(self.output)
        if self._file_of_search.is_file():
            self._require_same(_read(self._file_of_search))
            # Half a line, from when the search was killed.
            self._reports.truncate(len(self._reports.readable_rows()))
            return
        # A search that was killed at its start leaves no more than these.
        entries = self.output.iterdir() if self.output.is_dir() else ()
        if any(not (is_lock(one) or is_scratch(one)) for one in entries):
            raise RunError(
                f"output folder {self.output} exists and holds no search, so it is not changed: "
                "choose another with --output."
            )
        content = {**self._how, "config": dump_config(self.config)}
        _write(self._file_of_search, content)

    def _require_same(self, before: dict[str, Any]) -> None:
        """Refuse another search: trials of both could not be compared."""
        found = differences(parse_config(before["config"]), self.config)
        changed = [spell_differences([one]) for one in found if one.affects != "nothing"]
        changed += [
            f"{key}: {before.get(key)} -> {value}"
            for key, value in self._how.items()
            if before.get(key) != value
        ]
        if changed:
            raise RunError(
                f"{self.output} holds a search with other settings ({'; '.join(changed)}): choose "
                "another --output."
            )

    def run(self, name: str) -> RunFolder:
        """Return the folder of a trial's run."""
        return RunFolder(self.output / "trials" / name)

    def trials(self) -> list[Trial]:
        """Return the trials that were started, in the order of their starts."""
        files = (self.output / "trials").glob("*.json")
        return sorted((Trial(**_read(file)) for file in files), key=lambda trial: trial.number)

    def trial(self, name: str) -> Trial:
        """Return one trial as it stands on the disk."""
        return Trial(**_read(self._file(name)))

    def save(self, trial: Trial) -> None:
        """Write a trial; once it has ended its weights are deleted."""
        _write(self._file(trial.name), asdict(trial))
        if trial.ended:
            run = self.run(trial.name)
            for folder in (run.checkpoints, run.best, run.model):
                shutil.rmtree(folder, ignore_errors=True)

    def save_failure(self, trial: Trial, error: Exception) -> None:
        """Write why a trial failed."""
        why = str(error) if isinstance(error, RampartError) else reason(error)
        text = "\n".join([f"trial {trial.number}", why, "", traceback.format_exc()])
        write_atomic(self.output / "trials" / f"{trial.name}-error.txt", text)
        status: Status = "diverged" if isinstance(error, Diverged) else "failed"
        self.save(Trial(trial.number, trial.settings, status, why))

    def rows(self, trial: Trial) -> list[Row]:
        """Return the epochs of a trial."""
        return History(self.run(trial.name).history).rows()

    def reports(self) -> list[Report]:
        """Return the reported epochs in the order of arrival."""
        return [Report(**row) for row in self._reports.readable_rows()]

    def add_report(self, report: Report) -> None:
        """Add the report of an epoch."""
        self._reports.append(report._asdict())

    @property
    def _how(self) -> dict[str, Any]:
        return {"metric": self.metric, "sampler": self.sampler, "per_phase": self.per_phase}

    @property
    def _file_of_search(self) -> Path:
        return self.output / SEARCH

    @property
    def _reports(self) -> History:
        return History(self.output / "reports.jsonl")

    def _file(self, name: str) -> Path:
        return self.output / "trials" / f"{name}.json"


def make_search(
    config: RunConfig, output: Path, metric: str, sampler: str, per_phase: bool = False
) -> Search:
    """Return the search that a command line describes.

    Raises:
        UnknownName: no such metric or sampler.
        InvalidArgument: `per_phase` for a run that does not have both phases; or the metric is
            not measured after every epoch.
    """
    for word, value, kind in (("--metric", metric, Metric), ("--sampler", sampler, Sampler)):
        if value not in get_args(kind):
            raise UnknownName(word, value, get_args(kind))
    every = config.training.validation_every
    if metric == "loss" and every > 1:
        raise InvalidArgument(
            "training.validation_every",
            every,
            "1 with --metric loss, which is measured under attack after every epoch",
        )
    search = Search(config, output, cast(Metric, metric), cast(Sampler, sampler), per_phase)
    # Built now, so that a wrong space is refused first.
    assert search.space.ranges
    return search


def read_search(output: Path) -> Search:
    """Return the search in a folder.

    Raises:
        RunError: its file is damaged.
        RampartError: its configuration is invalid.
    """
    how = _read(output / SEARCH)
    return make_search(
        parse_config(how.get("config", {})),
        output,
        how.get("metric", ""),
        how.get("sampler", ""),
        how.get("per_phase", False),
    )


def _read(file: Path) -> dict[str, Any]:
    found = read_checked(file, "restore it, or delete it")
    if not isinstance(found, dict):
        raise RunError(f"{file} is damaged (no mapping): delete it.")
    return found


def _write(file: Path, content: dict[str, Any]) -> None:
    write_atomic(file, json.dumps(with_checksum(content), indent=1) + "\n")
