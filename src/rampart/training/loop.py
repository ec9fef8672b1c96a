"""The training loop: fit, epoch.

for each epoch:
    for each batch: take an optimizer step (`rampart.training.step`)
    validate -> show the schedule -> history row -> checkpoint
"""

import time
from typing import Any

from accelerate.utils import broadcast, gather_object

from rampart.training.interrupts import Interrupts
from rampart.training.monitors.base import run_monitors
from rampart.training.monitors.divergence import require_finite_weights
from rampart.training.resume import save_best, save_checkpoint
from rampart.training.run import Run, Totals
from rampart.training.step import train_batch


def fit(run: Run, epochs: int | None = None) -> None:
    """Train from wherever `run.progress` stands.

    Args:
        run: what to train.
        epochs: how many of the run are done in the end; all by default.

    Raises:
        Interrupted: a signal asked to stop; a checkpoint was written first.
        RunError: the loss is no longer a finite number, or the weights are not.
    """
    last = run.plan.horizon.epochs if epochs is None else epochs
    with Interrupts() as interrupts:
        while run.progress.epoch < last:
            train_epoch(run, interrupts)
            finish_epoch(run)
            if interrupts.requested(run.accelerator):
                interrupts.stop(run.step)


def train_epoch(run: Run, interrupts: Interrupts) -> None:
    """Take the optimizer steps that are left of the current epoch."""
    progress, started = run.progress, time.perf_counter()
    for batch in run.batches(progress.epoch, progress.step_in_epoch):
        train_batch(run, batch)
        # Waiting for the next batch counts too.
        now = time.perf_counter()
        progress.totals.seconds, started = progress.totals.seconds + now - started, now
        run.reporter.step(progress.epoch, progress.used["eps"])
        # Every process must agree, or one would wait for the others for ever.
        if interrupts.requested(run.accelerator):
            save_checkpoint(run)
            interrupts.stop(run.step)
        every = run.plan.checkpoint_every
        if every and progress.step_in_epoch % every == 0:
            save_checkpoint(run)


def finish_epoch(run: Run) -> None:
    """Validate, tell the schedule, append the history row and save a checkpoint."""
    progress = run.progress
    same_buffers(run)
    require_finite_weights(run.bare_model, run.step)
    with run.measured():
        # What a hook has put there may have been averaged from each process's own.
        same_buffers(run)
        row = measure(run)
        save_best(run, row)
    run.schedule.observe(row["val_clean"])
    progress.begin_next_epoch()
    if run.accelerator.is_main_process:
        run.history.append(row)
        run.reporter.epoch(row)
        for alert in row.get("alerts", ()):
            run.reporter.warn(alert["message"])
    scalars = {name: value for name, value in row.items() if not isinstance(value, list)}
    run.accelerator.log(scalars, step=row["step"])
    save_checkpoint(run)


def measure(run: Run) -> dict[str, Any]:
    """Return the epoch's history row, with what the monitors have to say."""
    progress = run.progress
    row: dict[str, Any] = {
        "epoch": progress.epoch + 1,
        "step": run.step,
        **progress.used,
        **epoch_figures(run),
        **decisions(run),
        **run.validate(run.model),
    }
    return row | run_monitors(run.monitors, run.bare_model, row, progress.memories)


def decisions(run: Run) -> dict[str, list[Any]]:
    """Return what an adaptive schedule saw and decided at every step of the epoch."""
    if not run.progress.decisions:
        return {}
    columns = zip(*run.progress.decisions, strict=True)
    names = ("step_alpha", "step_accuracy", "step_decision")
    return {name: list(column) for name, column in zip(names, columns, strict=True)}


def epoch_figures(run: Run) -> dict[str, float]:
    """Return loss, passes, time and throughput of the epoch, over all processes."""
    everyone: list[Totals] = gather_object([run.progress.totals])
    samples = sum(part.samples for part in everyone)
    seconds = max(part.seconds for part in everyone)
    return {
        "train_loss": sum(part.loss for part in everyone) / samples,
        "forwards": sum(part.forwards for part in everyone),
        "backwards": sum(part.backwards for part in everyone),
        "seconds": seconds,
        "images_per_second": samples / max(seconds, 1e-9),
    }


def same_buffers(run: Run) -> None:
    """Give every process the first one's BatchNorm statistics: one model is validated and saved."""
    if run.accelerator.num_processes > 1:
        for buffer in run.bare_model.buffers():
            broadcast(buffer, from_process=0)
