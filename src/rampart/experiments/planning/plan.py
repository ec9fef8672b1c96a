"""The plan of a study: its runs, their passes, and hours from a calibration."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from rampart.errors import InvalidArgument, ModelError, RampartError
from rampart.experiments.coordinates import Coordinates
from rampart.experiments.planning.calibration import seconds_per_pass
from rampart.experiments.planning.images import Images, count_images
from rampart.experiments.study import Study
from rampart.recipes.build import make_plan
from rampart.recipes.computing import computing
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.initial_model import images_of_model
from rampart.recipes.passes import (
    evaluation_passes,
    preparation_passes,
    training_passes,
    validation_passes,
)

#: Takes a configuration and the number of classes; returns seconds for each pass.
Calibrate = Callable[[RunConfig, int], float]


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study before it begins.

    Attributes:
        coordinates: value of every axis, by the axis.
        method: name of the method, of the choice whose best option will run, or of an option.
        choice: name of the choice that an option belongs to; "" for others.
        seed: of the run.
        training: passes of the training, with the validation and with what comes before the first
            step; None if the data are unknown.
        evaluation: passes of the evaluation; likewise.
        hours: of both; None without a calibration. If this machine lacks the precision of the run,
            they are those in fp32.
        note: why the data are unknown, or why the hours are those in fp32; or "".
    """

    coordinates: Coordinates
    method: str
    choice: str
    seed: int
    training: float | None
    evaluation: float | None
    hours: float | None
    note: str = ""


def plan_study(study: Study, calibrate: Calibrate | None = seconds_per_pass) -> list[PlannedRun]:
    """Return all runs of a study with their cost.

    Args:
        study: the study.
        calibrate: measures the time of a pass, once for each model and size of images; None for a
            plan without hours.

    Raises:
        RampartError: a run is impossible on any machine: there is no such model, or its batches do
            not fit its data or the processes of the study.
    """
    costs = _Costs(calibrate, study.resources.processes)
    runs = []
    for task, method, seed in study.runs():
        config = study.config(task, method, seed)
        runs.append(_planned(task.coordinates, method, "", config, costs))
    for name, choice in study.choices.items():
        for task in study.tasks:
            # The option is not known yet; the first one stands for it.
            first = next(iter(choice.among.values()))
            for seed in study.seeds:
                if not study.excludes(task, choice.method, seed):
                    config = study.config(task, choice.method, seed, first)
                    runs.append(_planned(task.coordinates, name, "", config, costs))
    for name, task, option, settings, seed in study.option_runs():
        config = study.config(task, study.choices[name].method, seed, settings)
        runs.append(_planned(task.coordinates, option, name, config, costs))
    return runs


class _Costs:
    """Images and time, looked up once for each kind.

    Attributes:
        processes: that carry out each run.
    """

    def __init__(self, calibrate: Calibrate | None, processes: int) -> None:
        self._calibrate, self.processes = calibrate, processes
        self._images: dict[str, Images | RampartError] = {}
        self._seconds: dict[str, float] = {}
        self._known: set[str] = set()

    def require_known_model(self, config: RunConfig) -> None:
        """Refuse a model that no machine has."""
        key = config.model.model_dump_json()
        if key not in self._known:
            self._known.add(key)
            # A file may lie on another machine, and the hub be within its reach.
            with suppress(ModelError):
                images_of_model(config)

    def images(self, config: RunConfig) -> Images:
        """Return the number of images; raise why it is unknown."""
        key = config.data.model_dump_json()
        if key not in self._images:
            try:
                self._images[key] = count_images(config)
            except RampartError as error:
                self._images[key] = error
        found = self._images[key]
        if isinstance(found, RampartError):
            raise found
        return found

    def seconds(self, config: RunConfig, classes: int) -> tuple[float | None, str]:
        """Return the seconds of a pass and why they are those in fp32; None if none is measured."""
        if self._calibrate is None:
            return None, ""
        note = ""
        try:
            computing(config)
        except InvalidArgument as why:
            config, note = _in_fp32(config), str(why)
        size = config.data.image_size or images_of_model(config)[1]
        training = config.training
        parts = (training.precision, training.device, training.channels_last, training.batch_size)
        key = repr((config.model.model_dump_json(), size, parts))
        if key not in self._seconds:
            self._seconds[key] = self._calibrate(config, classes)
        return self._seconds[key], note


def _in_fp32(config: RunConfig) -> RunConfig:
    training = config.training.model_copy(update={"precision": "fp32"})
    return config.model_copy(update={"training": training})


def _planned(
    coordinates: Coordinates, method: str, choice: str, config: RunConfig, costs: _Costs
) -> PlannedRun:
    costs.require_known_model(config)
    try:
        found = costs.images(config)
    except RampartError as why:
        return PlannedRun(coordinates, method, choice, config.seed, None, None, None, str(why))
    make_plan(config, found.train, costs.processes)
    training = found.train * (preparation_passes(config) + training_passes(config))
    training += validation_passes(config, found.train, found.validation)
    images = found.validation if choice else _evaluated(config, found)
    evaluation = images * evaluation_passes(config, found.classes)
    seconds, note = costs.seconds(config, found.classes)
    hours = None if seconds is None else (training + evaluation) * seconds / 3600
    return PlannedRun(coordinates, method, choice, config.seed, training, evaluation, hours, note)


def _evaluated(config: RunConfig, images: Images) -> int:
    whole = images.validation if config.evaluation.split == "validation" else images.test
    return min(whole, config.evaluation.limit or whole)
