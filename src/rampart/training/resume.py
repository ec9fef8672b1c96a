"""Saving a run and restoring it; a resumed run equals one that never stopped."""

from dataclasses import asdict
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from rampart.training.checkpoint import Checkpoint
from rampart.training.monitors.divergence import require_finite_weights
from rampart.training.state import Progress, Run, Totals
from rampart.training.step import read_losses


def save_best(run: Run, row: dict[str, Any]) -> None:
    """Save the weights of the best epoch so far, if the plan asks for it."""
    figure = run.plan.best_metric
    if figure is None or (run.progress.best is not None and row[figure] <= run.progress.best):
        return
    run.progress.best = row[figure]
    if run.accelerator.is_main_process:
        state = {"epoch": row["epoch"], figure: row[figure]}
        run.best.save(Checkpoint(row["step"], run.bare_model.state_dict(), {}, state))


def save_checkpoint(run: Run) -> None:
    """Save everything that an exact resume needs; every process must call this.

    Raises:
        RunError: a loss or the weights are not finite, and the older checkpoint stays; or the
            folder of the run was removed or replaced.
    """
    read_losses(run)
    require_finite_weights(run.bare_model, run.step)
    run.require_held()
    totals = gather_object([asdict(run.progress.totals)])
    if run.accelerator.is_main_process:
        run.checkpoints.save(
            Checkpoint(
                step=run.step,
                model=run.bare_model.state_dict(),
                optimizer=_tensor_states(run),
                state={
                    "progress": {**asdict(run.progress), "totals": totals},
                    "schedule": run.schedule.state_dict(),
                    "lr_schedule": run.lr_schedule.state_dict(),
                    "finished": run.progress.epoch == run.plan.horizon.epochs,
                },
            )
        )
    run.accelerator.wait_for_everyone()


def restore(run: Run) -> bool:
    """Restore the newest checkpoint into the run; False without one."""
    checkpoint = run.checkpoints.latest()
    if checkpoint is None:
        return False
    run.bare_model.load_state_dict(checkpoint.model)
    run.optimizer.load_state_dict(checkpoint.optimizer["optimizer"])
    if run.accelerator.scaler is not None and "scaler" in checkpoint.optimizer:
        run.accelerator.scaler.load_state_dict(checkpoint.optimizer["scaler"])
    for name, hook in run.hooks.items():
        hook.load_state_dict(checkpoint.optimizer[f"hook.{name}"])
    run.objective.load_state_dict(checkpoint.optimizer.get("objective", {}))
    if run.warm_start is not None:
        run.warm_start.load_state_dict(checkpoint.optimizer["warm_start"])
    run.lr_schedule.load_state_dict(checkpoint.state["lr_schedule"])
    run.schedule.load_state_dict(checkpoint.state["schedule"])
    run.progress = _restore_progress(checkpoint.state["progress"], run.accelerator)
    return True


def _restore_progress(state: dict[str, Any], accelerator: Accelerator) -> Progress:
    """Each process gets its totals back; if their number has changed, the first gets all."""
    parts = [Totals(**part) for part in state["totals"]]
    if len(parts) == accelerator.num_processes:
        totals = parts[accelerator.process_index]
    elif accelerator.is_main_process:
        totals = Totals(*(sum(column) for column in zip(*map(_values, parts), strict=True)))
        totals.seconds = max(part.seconds for part in parts)
        totals.data_seconds = max(part.data_seconds for part in parts)
    else:
        totals = Totals()
    return Progress(**{**state, "totals": totals})


def _values(totals: Totals) -> tuple[float, ...]:
    return tuple(asdict(totals).values())


def _tensor_states(run: Run) -> dict[str, Any]:
    states = {"optimizer": run.optimizer.state_dict()}
    states |= {f"hook.{name}": hook.state_dict() for name, hook in run.hooks.items()}
    if own := run.objective.state_dict():
        states["objective"] = own
    if run.warm_start is not None:
        states["warm_start"] = run.warm_start.state_dict()
    if run.accelerator.scaler is not None:
        states["scaler"] = run.accelerator.scaler.state_dict()
    return states
