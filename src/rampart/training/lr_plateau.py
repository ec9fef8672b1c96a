"""Learning rates that are halved when the validation has stalled, with the best weights reloaded.

The rule is that of the published code of AutoLoRA (arXiv 2310.01818), which takes it from the step
size of APGD (arXiv 2003.01690). It is checked at a few milestones of the run, because a single
epoch without progress says little.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from accelerate.utils import broadcast_object_list

from rampart.errors import InvalidArgument, RunError
from rampart.training.callbacks.base import Hook
from rampart.training.optimizers import PLATEAU
from rampart.training.reporting import Reporter
from rampart.training.state import Run

#: The fraction of epochs that have to be better than the one before.
ENOUGH = 0.75


def check_hooks(hooks: Mapping[str, Hook]) -> None:
    """Refuse a hook that saves other weights than those it trains: they would be reloaded.

    Raises:
        InvalidArgument: names the callback.
    """
    for name, hook in hooks.items():
        if type(hook).measured is not Hook.measured:
            raise InvalidArgument(
                "callbacks",
                name,
                f"none that saves other weights than those it trains, with {PLATEAU}",
                "leave it out, or use another optimizer.lr_schedule",
            )


def has_stalled(figures: Sequence[float], before: float | None, best: float) -> bool:
    """Return whether the validation has stalled since the check before.

    It has if less than `ENOUGH` of the epochs were better than the one before, or if none of them
    was the best of the run.

    Args:
        figures: of the epoch of the check before, or of the first of the run, and of all epochs
            since; higher is better.
        before: the best of the run at the check before; None at the first check.
        best: the best of the run now.
    """
    pairs = list(pairwise(figures))
    rises = sum(later > earlier for earlier, later in pairs)
    return rises < ENOUGH * len(pairs) or best == before


def halve_on_plateau(run: Run, row: dict[str, Any]) -> None:
    """Halve the learning rates and reload the best weights, if the plan asks for it.

    Args:
        run: after the epoch, whose best weights are saved.
        row: of the history; it gets the epoch of the weights as "reloaded_epoch".
    """
    plan, progress = run.plan, run.progress
    if not plan.rate_checks or plan.best_metric is None or progress.best is None:
        return
    progress.recent = [*progress.recent, row[plan.best_metric]]
    if row["epoch"] not in plan.rate_checks:
        return
    stalled = has_stalled(progress.recent, progress.checked_best, progress.best)
    # Devices may round differently, and every process must train at the same rates.
    (stalled,) = broadcast_object_list([stalled])
    progress.recent, progress.checked_best = progress.recent[-1:], progress.best
    if not stalled:
        return
    row["reloaded_epoch"] = _reload_best(run)
    _halve(run)


def show_reload(row: dict[str, Any], reporter: Reporter) -> None:
    """Tell that the rates were halved after the epoch of this row, if they were."""
    if "reloaded_epoch" in row:
        reporter.note(
            "learning rate: the validation has stalled; training goes on with half the rate, from "
            f"the weights of epoch {row['reloaded_epoch']}, the best so far."
        )


def _reload_best(run: Run) -> int:
    """Put the best weights into the model; return their epoch."""
    # The main process has written them.
    run.accelerator.wait_for_everyone()
    best = run.best.latest()
    if best is None:
        raise RunError(
            f"the best weights in {run.best.folder} cannot be read by this process: let all "
            "processes write to one disk, or use another optimizer.lr_schedule."
        )
    run.bare_model.load_state_dict(best.model)
    return int(best.state["epoch"])


def _halve(run: Run) -> None:
    """Halve the rates of the next step and of all that follow."""
    schedule = run.lr_schedule
    # Its state dict holds these rates, so a resumed run has them too.
    schedule.base_lrs = [rate / 2 for rate in schedule.base_lrs]
    for group in run.optimizer.param_groups:
        group["lr"] /= 2
