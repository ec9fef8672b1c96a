"""The training loop: fit, epoch, batch, micro-batch.

    fit          while an epoch is left:
    epoch            for each batch of the epoch:           # the order follows (seed, epoch)
    batch                eps = alpha(t) * eps_g             # the schedule
                         train mode, except for what a strategy freezes
                         draw a variant of the objective    # for most objectives the only one
                         for each micro-batch:              # a hook such as AWP may repeat this
    micro-batch              x = augment(images)            # pixels in [0, 1]
                             x' = attack(x, eps)            # for the objective; none at eps = 0
                             add the gradient of objective(x, x') / batch size
                         drop the gradients of frozen weights; clip
                         step the optimizer and the learning rate
                         show the hooks the new weights
                         step the schedule                  # with the accuracy on x'
                         checkpoint, if one is due or a signal arrived
                     read the losses                        # on a GPU; on a CPU at every step
                     validate; run the monitors             # on the weights that hooks put in
                     save the weights of the best epoch
                     show the schedule the clean validation accuracy
                     begin a ramp after all if the run falls behind its pilot
                     reload the best weights at half the learning rate, on a plateau
                     append the history row; checkpoint     # a resumed run continues here

`fit`, `train_epoch` and `finish_epoch` are below; batch and micro-batch are `train_batch` and
`train_micro_batch` in `rampart.training.step`.
"""

import time
from dataclasses import asdict
from typing import Any

from accelerate.utils import broadcast, broadcast_object_list, gather_object

from rampart.compiling import eagerly
from rampart.training.interrupts import Interrupts
from rampart.training.lr_plateau import halve_on_plateau, show_reload
from rampart.training.monitors.base import run_monitors
from rampart.training.monitors.divergence import require_finite_weights
from rampart.training.monitors.overfitting import OVERFITTING
from rampart.training.resume import save_best, save_checkpoint
from rampart.training.state import Run, Totals
from rampart.training.step import read_losses, train_batch, waited_for

#: Steps from one time that several GPUs ask for a signal to the next.
ASK_EVERY = 10


def fit(run: Run, epochs: int | None = None) -> None:
    """Train from where `run.progress` is.

    Args:
        run: what to train.
        epochs: stop after this epoch of the run, counted from 1; by default after the last.

    Raises:
        Interrupted: a signal stopped the run; a checkpoint is saved.
        RunError: the loss or the weights are not finite.
    """
    last = run.plan.horizon.epochs if epochs is None else epochs
    with Interrupts() as interrupts:
        while run.progress.epoch < last:
            train_epoch(run, interrupts)
            finish_epoch(run)
            if interrupts.requested(run.accelerator):
                interrupts.stop(run.step)


def train_epoch(run: Run, interrupts: Interrupts) -> None:
    """Take the remaining optimizer steps of the current epoch."""
    progress, started = run.progress, time.perf_counter()
    for batch in waited_for(run.batches(progress.epoch, progress.step_in_epoch), progress.totals):
        train_batch(run, batch)
        # The wait for the next batch counts too.
        now = time.perf_counter()
        progress.totals.seconds, started = progress.totals.seconds + now - started, now
        run.reporter.step(progress.epoch, progress.used["eps"])
        if may_ask(run) and interrupts.requested(run.accelerator):
            save_checkpoint(run)
            interrupts.stop(run.step)
        every = run.plan.checkpoint_every
        if every and progress.step_in_epoch % every == 0:
            save_checkpoint(run)
    read_losses(run)
    progress.totals.seconds += time.perf_counter() - started


def may_ask(run: Run) -> bool:
    """Return whether the processes ask each other for a signal after this step.

    All must agree; otherwise one would wait for the others forever. Several GPUs are idle while
    they ask, so they do not ask after every step.
    """
    several = run.accelerator.num_processes > 1 and run.accelerator.device.type != "cpu"
    return not several or run.progress.step_in_epoch % ASK_EVERY == 0


def finish_epoch(run: Run) -> None:
    """Validate, inform the schedule, append the history row and save a checkpoint."""
    progress = run.progress
    broadcast_buffers(run)
    require_finite_weights(run.bare_model, run.step)
    run.require_held()
    with run.measured():
        # A hook may have averaged the buffers of its own process.
        broadcast_buffers(run)
        row = measure(run)
        save_best(run, row)
    run.schedule.observe(row["val_clean"])
    run.objective.finish_epoch()
    _raise_steps(run, row)
    _ramp_late(run, row)
    halve_on_plateau(run, row)
    progress.begin_next_epoch()
    if run.accelerator.is_main_process:
        run.history.append(row)
    show_epoch(run, row)
    save_checkpoint(run)


def show_epoch(run: Run, row: dict[str, Any]) -> None:
    """Give the history row of an epoch to the reporter and the trackers."""
    if run.accelerator.is_main_process:
        run.reporter.epoch(row)
        for alert in row.get("alerts", ()):
            run.reporter.warn(alert["message"])
        show_reload(row, run.reporter)
    scalars = {name: value for name, value in row.items() if not isinstance(value, list)}
    run.accelerator.log(scalars, step=row["step"])


def _raise_steps(run: Run, row: dict[str, Any]) -> None:
    """Give the attack more steps from the next epoch on, if a monitor found that it misleads."""
    codes = [alert["code"] for alert in row.get("alerts", ())]
    # Devices may round differently, and every process must train on the same attack.
    (raised,) = broadcast_object_list([OVERFITTING in codes])
    if raised and run.plan.more_steps:
        run.progress.attack_steps = run.plan.more_steps


def _ramp_late(run: Run, row: dict[str, Any]) -> None:
    """Let eps follow the ramp after all, if a run that has passed its pilot falls behind."""
    behind = run.pilot is not None and run.pilot.falls_behind(row["epoch"], row["val_clean"])
    # Devices may round differently, and every process must train at the same strength.
    (behind,) = broadcast_object_list([behind])
    if behind and run.pilot is not None:
        run.schedule.start_at(0.0)
        if run.schedule.alpha == 1:
            # The deadline has passed, so nothing changes.
            return
        alert = asdict(run.pilot.late_alert(row["epoch"], row["val_clean"]))
        row["alerts"] = [*row.get("alerts", ()), alert]


def measure(run: Run) -> dict[str, Any]:
    """Return the history row of the epoch, with what the monitors add."""
    progress = run.progress
    row: dict[str, Any] = {
        "epoch": progress.epoch + 1,
        "step": run.step,
        **progress.used,
        **epoch_figures(run),
        **decisions(run),
        **run.validate(run.model, progress.epoch + 1),
    }
    if progress.attack_steps:
        row["attack_steps"] = progress.attack_steps
    # Monitors call the network with few images, of many shapes.
    with eagerly(run.bare_model):
        return row | run_monitors(run.monitors, run.bare_model, row, progress.memories)


def decisions(run: Run) -> dict[str, list[Any]]:
    """Return the input and the decision of an adaptive schedule at every step of the epoch."""
    if not run.progress.decisions:
        return {}
    columns = zip(*run.progress.decisions, strict=True)
    names = ("step_alpha", "step_accuracy", "step_decision")
    return {name: list(column) for name, column in zip(names, columns, strict=True)}


def epoch_figures(run: Run) -> dict[str, float]:
    """Return loss, passes, time and throughput of the epoch over all processes."""
    everyone: list[Totals] = gather_object([run.progress.totals])
    samples = sum(part.samples for part in everyone)
    seconds = max(part.seconds for part in everyone)
    return {
        "train_loss": sum(part.loss for part in everyone) / samples,
        "forwards": sum(part.forwards for part in everyone),
        "backwards": sum(part.backwards for part in everyone),
        "seconds": seconds,
        "data_seconds": max(part.data_seconds for part in everyone),
        "images_per_second": samples / max(seconds, 1e-9),
    }


def broadcast_buffers(run: Run) -> None:
    """Give every process the BatchNorm statistics of the first: all validate the same model."""
    if run.accelerator.num_processes > 1:
        for buffer in run.bare_model.buffers():
            broadcast(buffer, from_process=0)
