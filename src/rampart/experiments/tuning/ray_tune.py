"""Ray Tune: the searcher, ASHA, and what is written when a trial starts, reports and ends.

ASHA (Li et al. 2020, arXiv 1810.05934) stops a trial after 1, 2, 4, ... epochs unless it is among
the better half of those that came as far. This file needs Ray, so it is imported where it is used.
"""

import itertools
import math
import tempfile
import time
from dataclasses import dataclass, replace
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.basic_variant import BasicVariantGenerator

from rampart.experiments.ray_session import Resources
from rampart.experiments.tuning.counting import counting
from rampart.experiments.tuning.one_trial import run_trial
from rampart.experiments.tuning.session import Session, Watcher
from rampart.experiments.tuning.space import Space, name_of
from rampart.experiments.tuning.trials import Report, Trial
from rampart.plugins import IMPORTED
from rampart.runtime import derive

#: Of ASHA, as in the published benchmark (arXiv 2508.14079).
GRACE_EPOCHS, REDUCTION = 1, 2


def fit(session: Session, resources: Resources) -> None:
    """Run trials until the budget is spent."""
    trainable = tune.with_parameters(
        run_trial, search=session.search, threads=resources.cpus, imports=tuple(IMPORTED)
    )
    random = session.search.sampler == "random"
    folder = tempfile.TemporaryDirectory(prefix="rampart-tune-")
    with folder as scratch, counting(session) as watcher:
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
            # OptunaSearch has the space already.
            param_space=domains(session.search.space) if random else {},
            tune_config=tune.TuneConfig(
                num_samples=session.runs,
                search_alg=make_searcher(session, resources.workers or 1),
                scheduler=make_scheduler(session),
                time_budget_s=None if math.isinf(session.seconds) else session.seconds,
            ),
            # Our own folders hold the state.
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="search",
                verbose=0,
                callbacks=[Recorder(session, watcher)],
            ),
        ).fit()


def domains(space: Space) -> dict[str, Any]:
    """Return the search space in the words of Ray Tune."""
    return {key: tune.loguniform(low, high) for key, (low, high) in space.ranges.items()}


def make_searcher(session: Session, workers: int) -> Any:
    """Return the searcher, which first returns unfinished trials and starting points."""
    if session.search.sampler == "optuna":
        return ConcurrencyLimiter(make_optuna(session), max_concurrent=workers)
    points = list(itertools.islice(session.draws(), session.runs))
    return BasicVariantGenerator(points_to_evaluate=points, max_concurrent=workers)


def make_optuna(session: Session) -> Any:
    """Return Optuna's sampler, which knows the ended trials."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # A sampler of the same seed would draw the first trials again.
    seed = derive(session.search.config.seed, "optuna", len(session.known)) % 2**32
    searcher = OptunaSearch(
        space=OptunaSearch.convert_search_space(domains(session.search.space)),
        metric="value",
        mode="max",
        points_to_evaluate=list(session.points),
        sampler=optuna.samplers.TPESampler(seed=seed),
    )
    last = {report.trial: report.value for report in session.reports}
    for trial in session.known.values():
        if trial.ended and trial.name in last:
            searcher.add_evaluated_point(trial.settings, last[trial.name])
    return searcher


@dataclass(frozen=True)
class Named:
    """A trial as ASHA sees it: by the name that it keeps when it is resumed."""

    trial_id: str

    @classmethod
    def of(cls, trial: Any) -> "Named":
        """Return the name of a trial of Ray Tune."""
        return cls(name_of(dict(trial.config)))


class AshaByName(ASHAScheduler):
    """ASHA, which counts a resumed trial once and upholds its decisions about it."""

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Receive a trial."""
        super().on_trial_add(tune_controller, Named.of(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> Any:
        """Return whether a trial goes on after an epoch."""
        return super().on_trial_result(tune_controller, Named.of(trial), result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Receive the end of a trial."""
        super().on_trial_complete(tune_controller, Named.of(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Receive the failure of a trial."""
        super().on_trial_remove(tune_controller, Named.of(trial))


def make_scheduler(session: Session) -> AshaByName:
    """Return ASHA as the earlier sessions left it."""
    scheduler = AshaByName(
        time_attr="epoch",
        metric="value",
        mode="max",
        max_t=session.search.config.training.epochs,
        grace_period=GRACE_EPOCHS,
        reduction_factor=REDUCTION,
    )
    for trial in session.known.values():
        scheduler.on_trial_add(None, _Earlier(trial.settings))
    for report in session.reports:
        if report.trial not in session.known:
            continue
        earlier = _Earlier(session.known[report.trial].settings)
        scheduler.on_trial_result(None, earlier, {"epoch": report.epoch, "value": report.value})
    return scheduler


@dataclass(frozen=True)
class _Earlier:
    """A trial of an earlier session, in place of one of Ray Tune."""

    config: dict[str, float]


class Recorder(tune.Callback):
    """Writes starts, reports and ends of trials into the folder of the search."""

    def __init__(self, session: Session, watcher: Watcher) -> None:
        self._search, self._watcher = session.search, watcher
        self._numbers = {name: trial.number for name, trial in session.known.items()}
        self._reported = {(report.trial, report.epoch) for report in session.reports}
        self._before, self._seconds = session.seconds_before, session.seconds
        self._started = time.monotonic()

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Write the trial."""
        settings = dict(trial.config)
        number = self._numbers.setdefault(name_of(settings), len(self._numbers) + 1)
        begun = Trial(number, settings)
        self._search.save(begun)
        self._watcher.on_start(begun)

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Write the epoch; a resumed trial reports its earlier ones again."""
        begun = self._trial(trial)
        if "epoch" not in result or (begun.name, result["epoch"]) in self._reported:
            return
        seconds = self._before + self._elapsed
        report = Report(begun.name, result["epoch"], result["value"], seconds)
        self._reported.add((report.trial, report.epoch))
        self._search.add_report(report)
        self._watcher.on_epoch(begun, report)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Write whether the trial came to its last epoch; one that time cut short stays open."""
        begun, last = self._trial(trial), trial.last_result.get("epoch", 0)
        if last == self._search.config.training.epochs:
            self._end(replace(begun, status="complete"))
        elif self._elapsed < self._seconds:
            self._end(replace(begun, status="stopped"))

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Write the failure, unless the process of the trial has done so."""
        begun = self._trial(trial)
        if begun.status == "running":
            why = "its process ended, perhaps because memory ran out: try fewer --workers"
            begun = replace(begun, status="failed", reason=why)
        self._end(begun)

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _end(self, trial: Trial) -> None:
        self._search.save(trial)
        self._watcher.on_end(trial)

    def _trial(self, trial: Any) -> Trial:
        return self._search.trial(name_of(dict(trial.config)))
