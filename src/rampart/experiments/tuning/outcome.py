"""The result of a search: the best settings, the table of all trials, and the budget spent."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rampart.checksums import read_checked, with_checksum
from rampart.counting import counted
from rampart.errors import RunError
from rampart.experiments.tuning.space import with_settings
from rampart.experiments.tuning.trials import METRICS, Search, Trial
from rampart.files import write_atomic
from rampart.plain import write_plain
from rampart.recipes.config.loading import dump_config
from rampart.runs.passes import Passes

#: The file with the best configuration, and the one with the budget.
TUNED, SPENT = "tuned.yaml", "spent.json"


@dataclass(frozen=True)
class Spent:
    """The budget of a search, over all its sessions.

    Attributes:
        runs: number of trials.
        passes: forward and backward passes of their runs: of training, validation, monitors and
            pilot.
        minutes: wall time of the search up to its last report.
    """

    runs: int
    passes: int
    minutes: float

    def __str__(self) -> str:
        return f"{counted(self.runs, 'run')}, {self.passes:,} passes, {self.minutes:.1f} minutes"


@dataclass(frozen=True)
class Tried:
    """A trial with its figures.

    Attributes:
        trial: its settings and status.
        epochs: finished epochs.
        value: the metric after the last of them; None without one.
        passes: all forward and backward passes of the run.
        seconds: duration of the epochs.
    """

    trial: Trial
    epochs: int
    value: float | None
    passes: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """The result of a search.

    Attributes:
        best: the best trial.
        tried: all trials, the best first.
        spent: the budget.
        table: of all trials, in Markdown.
        config: file of the best configuration.
    """

    best: Tried
    tried: list[Tried]
    spent: Spent
    table: str
    config: Path


def write_outcome(search: Search) -> Outcome:
    """Write `tuned.yaml`, the tables and `spent.json`; return what they hold.

    Raises:
        RunError: no trial finished an epoch.
    """
    tried = sorted((_tried(search, trial) for trial in search.trials()), key=_order)
    minutes = max((report.seconds for report in search.reports()), default=0.0) / 60
    spent = Spent(len(tried), sum(one.passes for one in tried), minutes)
    table = _table(search, tried, spent)
    write_atomic(search.output / "trials.csv", _csv(search, tried))
    write_atomic(search.output / "trials.md", table)
    best = choose(tried)
    if best is None:
        raise RunError(_no_best(search, tried))
    config = search.output / TUNED
    write_atomic(config, _tuned(search, best, spent))
    facts = {"metric": METRICS[search.metric][0], "value": best.value, "epochs": best.epochs}
    content = {"best": best.trial.name, **facts, **vars(spent)}
    write_atomic(search.output / SPENT, json.dumps(with_checksum(content), indent=1) + "\n")
    return Outcome(best, tried, spent, table, config)


def read_spent(folder: Path) -> tuple[str, Spent]:
    """Return the name of the best trial and the budget, as `write_outcome` wrote them.

    Raises:
        RunError: the file is damaged.
    """
    file = folder / SPENT
    do = "run the `rampart tune` command of this search again, which writes it anew"
    content = read_checked(file, do)
    try:
        spent = Spent(*(content[name] for name in ("runs", "passes", "minutes")))
        return content["best"], spent
    except (KeyError, TypeError) as error:
        raise RunError(f"{file} is damaged or was changed (no budget): {do}.") from error


def choose(tried: Sequence[Tried]) -> Tried | None:
    """Return the best of the trials that trained for most epochs; None without any epoch.

    A metric at an early epoch, at another strength and learning rate, cannot be compared with one
    at the end.
    """
    usable = [one for one in tried if one.trial.status not in ("failed", "diverged") and one.epochs]
    return min(usable, key=_order, default=None)


def _order(one: Tried) -> tuple[bool, int, float, int]:
    """The best first: most epochs, then the better value, then the earlier start."""
    bad = one.trial.status in ("failed", "diverged")
    return bad, -one.epochs, -(one.value or 0.0), one.trial.number


def _tried(search: Search, trial: Trial) -> Tried:
    rows = search.rows(trial)
    facts = search.run(trial.name).facts()
    return Tried(
        trial=trial,
        epochs=len(rows),
        value=search.value(rows[-1]) if rows and trial.status != "diverged" else None,
        passes=Passes.of(rows, facts).total,
        seconds=sum(row["seconds"] for row in rows),
    )


def _no_best(search: Search, tried: Sequence[Tried]) -> str:
    reasons = dict.fromkeys(one.trial.reason for one in tried if one.trial.reason)
    if not reasons:
        return (
            "no trial finished an epoch within the budget: run the same command with more "
            "--minutes; it resumes."
        )
    listed = "; ".join(one.rstrip(".") for one in reasons)
    return (
        f"every trial failed ({listed}): see {search.output / 'trials'}, mend the cause, and run "
        "the same command again."
    )


def _tuned(search: Search, best: Tried, spent: Spent) -> str:
    """Return the best configuration with a header that says how it was found."""
    config = with_settings(search.config, best.trial.settings)
    epochs = counted(search.config.training.epochs, "epoch")
    lines = [
        f"Learning rates and weight decays of the best of {counted(spent.runs, 'run')}: "
        f"{_column(search)} {search.spell(best.value)}",
        f"on the validation split after {best.epochs} of {epochs}.",
        f"Spent: {spent}; sampler {search.sampler}, seed {search.config.seed}.",
        "rampart train tuned.yaml -o FOLDER",
    ]
    return "".join(f"# {line}\n" for line in lines) + write_plain(dump_config(config))


def _column(search: Search) -> str:
    return {"clean": "clean accuracy", "expected": "expected robustness", "loss": "loss"}[
        search.metric
    ]


def _table(search: Search, tried: Sequence[Tried], spent: Spent) -> str:
    keys = list(search.space.ranges)
    names = [key.rpartition(".")[2] for key in keys]
    head = ["trial", *names, _column(search), "epochs", "passes", "seconds", "status"]
    lines = [_line(head), _line(["--:"] * (len(head) - 1) + [":--"])]
    for one in tried:
        reason = f": {one.trial.reason}" if one.trial.reason else ""
        lines.append(
            _line(
                [
                    str(one.trial.number),
                    *(f"{one.trial.settings[key]:.3g}" for key in keys),
                    search.spell(one.value),
                    str(one.epochs),
                    f"{one.passes:,}",
                    f"{one.seconds:.0f}",
                    f"{one.trial.status}{reason}".replace("|", "\\|").replace("\n", " "),
                ]
            )
        )
    return "\n".join([*lines, "", f"Spent: {spent}.", ""])


def _csv(search: Search, tried: Sequence[Tried]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys, column = list(search.space.ranges), METRICS[search.metric][0]
    writer.writerow(
        ["trial", "name", *keys, column, "epochs", "passes", "seconds", "status", "reason"]
    )
    for one in tried:
        value = None if one.value is None else one.value * METRICS[search.metric][1]
        settings = [one.trial.settings[key] for key in keys]
        figures = [value, one.epochs, one.passes, round(one.seconds, 1)]
        row = [one.trial.number, one.trial.name, *settings, *figures]
        writer.writerow([*row, one.trial.status, one.trial.reason])
    return text.getvalue()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
