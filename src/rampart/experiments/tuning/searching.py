"""Carry out a search within its budget; `ray_tune` draws, trains and stops the trials.

All state lies in the folder of the search: a second call shows ASHA the earlier reports, resumes
the unfinished trials and draws the missing ones.
"""

from rampart.experiments.ray_session import (
    Resources,
    fit_resources,
    ray_session,
    require_ray,
    resources_of_nodes,
)
from rampart.experiments.tuning.outcome import Outcome, write_outcome
from rampart.experiments.tuning.session import Budget, Session, Watcher
from rampart.experiments.tuning.starting_points import starting_points
from rampart.experiments.tuning.trials import Search
from rampart.extras import require_extra
from rampart.files import require_output_folder
from rampart.recipes.build import make_plan
from rampart.recipes.measurable import require_measurable
from rampart.recipes.measured import require_measurable_on
from rampart.recipes.splits import make_splits
from rampart.runs.lock import only_writer


def run_search(search: Search, budget: Budget, resources: Resources, watcher: Watcher) -> Outcome:
    """Carry out what the budget has left, and write the result; the folder holds everything.

    Raises:
        MissingExtra: Ray or Optuna is not installed.
        InvalidArgument: one trial needs more resources than there are.
        RampartError: the folder holds another search, another process writes it, configuration or
            data are invalid, or no trial finished an epoch.
    """
    _require_packages(search)
    starts = starting_points(search.config, search.space)
    if search.sampler == "optuna":
        for point in starts:
            search.space.require_positive(point)
    _require_possible(search)
    require_output_folder(search.output)
    with only_writer(search.output):
        search.open()
        session = Session(search, budget, starts, watcher)
        if session.left:
            with ray_session() as ray:
                fitting = fit_resources(resources, resources_of_nodes(ray))
                from rampart.experiments.tuning.ray_tune import fit

                fit(session, fitting)
        return write_outcome(search)


def _require_packages(search: Search) -> None:
    purpose = "rampart tune"
    require_ray(purpose, "tune", "ray.tune")
    if search.sampler == "optuna":
        require_extra("optuna", "tune", f"{purpose} --sampler optuna")


def _require_possible(search: Search) -> None:
    """Refuse data and settings with which every trial would fail."""
    require_measurable(search.config)
    splits = make_splits(search.config)
    require_measurable_on(search.config, splits)
    make_plan(search.config, len(splits.train), processes=1)
