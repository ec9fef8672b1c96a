"""The figures of one run of a study, read from its folder."""

from pathlib import Path
from typing import Any, NamedTuple

from rampart.errors import RunError
from rampart.experiments.coordinates import Coordinates, spell_coordinates
from rampart.metrics.adaptation import adaptation_delay, has_measurable_delay
from rampart.metrics.continuum import bounds
from rampart.metrics.expectation import expected_robustness
from rampart.records.storage import load_record
from rampart.records.summary import number_of_classes
from rampart.runs.history import History
from rampart.runs.passes import Passes
from rampart.runs.run_folder import RunFolder
from rampart.runs.shortfall import shortfall_of


class RunFigures(NamedTuple):
    """One row of `results.csv`.

    Attributes:
        coordinates: value of every axis of the study; a column each.
        method, seed: name of the method, and the seed of the run.
        identity: of the run, as in the name of its folder: a hash of the settings that change
            results.
        clean, adversarial, expected: accuracies as fractions: without an attack, at eps_g, and the
            mean over [0, eps_g].
        delay: adaptation delay in epochs; None if the run never adapted, or if `classes` are too
            few to measure it.
        full_from: fraction of the run after which eps stays at eps_g; 1 if eps never reaches it.
        passes: all forward and backward passes of the run, whatever their purpose.
        seconds: duration of the epochs; it depends on the other load of the machine.
        trained: number of trained parameters; None for a run of an earlier version.
        classes: number of classes; None if unknown.
        expected_least, expected_most: bounds of expected robustness for any curve between the
            strengths; None for a run of an earlier version.
        training_passes, validation_passes, monitor_passes, pilot_passes: the parts of `passes`
            (`runs.passes`); the last includes `training.linear_probe`, the guidance for noisy
            labels and a check of labels, which come before the first step too.
    """

    coordinates: Coordinates
    method: str
    seed: int
    identity: str
    clean: float
    adversarial: float
    expected: float
    delay: int | None
    full_from: float
    passes: int
    seconds: float
    trained: int | None = None
    classes: int | None = None
    expected_least: float | None = None
    expected_most: float | None = None
    training_passes: int | None = None
    validation_passes: int | None = None
    monitor_passes: int | None = None
    pilot_passes: int | None = None

    @property
    def task(self) -> str:
        """Name of the task: the values of the axes."""
        return spell_coordinates(self.coordinates)


def read_figures(
    coordinates: Coordinates, method: str, seed: int, identity: str, folder: Path, record: Path
) -> RunFigures:
    """Return the figures of a finished and evaluated run.

    Raises:
        RunError: the run is not finished, its history is not whole, or a file is damaged.
    """
    found = load_record(record)
    run = RunFolder(folder)
    lacks = shortfall_of(run)
    if lacks.unfinished:
        raise RunError(f"{folder} is not finished ({lacks}): {run.how_to_resume()}.")
    if lacks.history:
        raise RunError(
            f"{folder} has no whole history.jsonl ({lacks}): restore the file, or delete the "
            "folder to train again."
        )
    rows, facts = History(run.history).rows(), run.facts()
    passes = Passes.of(rows, facts)
    classes = number_of_classes(found)
    accuracies = [row["val_clean"] for row in rows]
    ends = bounds(found.critical, found.grid, distances=found.distance)
    return RunFigures(
        coordinates=coordinates,
        method=method,
        seed=seed,
        identity=identity,
        clean=float(found.accuracy[0]),
        adversarial=float(found.accuracy[-1]),
        expected=float(expected_robustness(found.critical, found.grid)),
        delay=adaptation_delay(accuracies) if has_measurable_delay(classes) else None,
        full_from=_full_from(rows),
        passes=passes.total,
        seconds=sum(row["seconds"] for row in rows),
        trained=facts.get("parameters", {}).get("trained"),
        classes=classes,
        expected_least=ends.low,
        expected_most=ends.high,
        training_passes=passes.training,
        validation_passes=passes.validation,
        monitor_passes=passes.monitors,
        pilot_passes=passes.pilot + passes.linear_probe + passes.guidance + passes.label_check,
    )


def _full_from(rows: list[dict[str, Any]]) -> float:
    """Number of the last epoch that ended below full strength, as a fraction of all epochs."""
    below = [row["epoch"] for row in rows if row["alpha"] < 1]
    return max(below, default=0) / len(rows)
