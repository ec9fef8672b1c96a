"""Made-up results of studies."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rampart.experiments.published.conditions import Condition, FinishedRun, Results
from rampart.experiments.published.counterparts import condition_of_row
from rampart.experiments.run_figures import RunFigures
from rampart.published import PublishedResult, published_results
from rampart.records.record import EvaluationRecord
from rampart.records.storage import save_record
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder


def figures(
    clean: float = 0.5,
    adversarial: float = 0.2,
    expected: float = 0.3,
    seed: int = 0,
    delay: int | None = 2,
    classes: int = 100,
) -> RunFigures:
    return RunFigures(
        *({"task": "task"}, "method", seed, "1f", clean, adversarial, expected),
        *(delay, 0.2, 250_000, 30.0),
        classes=classes,
    )


def results(condition: Condition, runs: Sequence[RunFigures], planned: int = 0) -> Results:
    return Results(condition, tuple(map(FinishedRun, runs)), planned or len(runs))


def published_as_ours(
    tables: Iterable[int], keep: Sequence[str] = (), **changes: object
) -> list[Results]:
    """A study that found exactly the published figures; of these datasets only, if any is given."""
    wanted = set(tables)
    return [
        results(replace(condition_of_row(row), **changes), [as_run(row)], 1)
        for row in published_results()
        if row.table in wanted and (not keep or row.dataset in keep)
    ]


def as_run(row: PublishedResult) -> RunFigures:
    return figures(row.clean, row.adversarial, row.expected)


def with_files(folder: Path, one: Results, epochs: int = 12) -> Results:
    """The same results with a history and a record on disk for every run."""
    runs = []
    for run in one.runs:
        place = folder / str(abs(hash(one.condition))) / str(run.figures.seed)
        place.mkdir(parents=True)
        history = RunFolder(place).history
        last, delay = run.figures.clean, run.figures.delay or epochs
        for epoch in range(1, epochs + 1):
            clean = last * max(0.0, min(1.0, (epoch - delay + 2) / (epochs - delay + 2)))
            row = {"epoch": epoch, "val_clean": clean, "val_robust": clean / 2}
            History(history).append({**row, "train_loss": 4 - 3 * clean})
        levels = round(255 * one.condition.eps)
        fractions = np.linspace(run.figures.clean, run.figures.adversarial, levels + 1)
        counts = np.round(200 * fractions).astype(int)
        drops = [200 - counts[0], *-np.diff(counts), counts[-1]]
        critical = np.repeat(np.arange(len(drops)), drops)
        record = EvaluationRecord(
            norm="linf",
            grid=np.arange(levels + 1) / 255,
            ids=tuple(map(str, range(200))),
            labels=np.zeros(200, dtype=int),
            predictions=np.where(critical == 0, 1, 0),
            critical=critical,
            metadata={"attack": {"name": "apgd", "steps": 10}, "split": "test", "seed": 7},
        )
        save_record(record, place / "record")
        runs.append(FinishedRun(run.figures, place, place / "record"))
    return replace(one, runs=tuple(runs))
