"""The figures of one run of a study, read from its folder."""

from pathlib import Path
from typing import Any, NamedTuple

from rampart.metrics.adaptation import adaptation_delay
from rampart.metrics.expectation import expected_robustness
from rampart.records.storage import load_record
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder


class RunFigures(NamedTuple):
    """One row of `results.csv`.

    Attributes:
        clean, adversarial, expected: accuracies as fractions: without an attack, at eps_g, and the
            mean over [0, eps_g].
        delay: task-adaptation delay in epochs; None where the run never adapted.
        full_from: fraction of the run after which eps is eps_g to the end; 1 where it never is.
        passes: images forward and back in training, a pilot at full strength included.
        seconds: of the run's own epochs; depends on what else the machine did.
        trained: number of trained parameters; None where a run of an earlier version has not said.
    """

    task: str
    method: str
    seed: int
    clean: float
    adversarial: float
    expected: float
    delay: int | None
    full_from: float
    passes: int
    seconds: float
    trained: int | None = None


def read_figures(task: str, method: str, seed: int, folder: Path, record: Path) -> RunFigures:
    """Return the figures of a finished and evaluated run."""
    found = load_record(record)
    run = RunFolder(folder)
    rows, facts = History(run.history).rows(), run.facts()
    pilot = facts.get("pilot", {})
    return RunFigures(
        task=task,
        method=method,
        seed=seed,
        clean=float(found.accuracy[0]),
        adversarial=float(found.accuracy[-1]),
        expected=float(expected_robustness(found.critical, found.grid)),
        delay=adaptation_delay([row["val_clean"] for row in rows]),
        full_from=_full_from(rows),
        passes=sum(row["forwards"] + row["backwards"] for row in rows) + pilot.get("passes", 0),
        seconds=sum(row["seconds"] for row in rows),
        trained=facts.get("parameters", {}).get("trained"),
    )


def _full_from(rows: list[dict[str, Any]]) -> float:
    """Epochs whose last step was not yet at full strength, as a fraction of all."""
    below = [row["epoch"] for row in rows if row["alpha"] < 1]
    return max(below, default=0) / len(rows)
