"""The training loop: fit, epoch, batch, piece.

ask eps -> perturb -> loss -> step; then validate -> observe -> history row -> checkpoint.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rampart.attacks.base import Attack, Counted
from rampart.data.batches import Batch
from rampart.data.transforms import Augment
from rampart.errors import RunError
from rampart.history import History
from rampart.objectives.base import Objective, Perturb
from rampart.runtime import Noise, scoped_seed
from rampart.schedules.base import EpsilonScheduler
from rampart.training.checkpoint import Checkpoint, CheckpointStore
from rampart.training.interrupts import Interrupts
from rampart.training.optimisers import learning_rates
from rampart.training.reporting import Reporter
from rampart.units import Horizon

#: (epoch, first step) to the batches of that epoch from that step on, this process's share.
EpochBatches = Callable[[int, int], Iterable[Batch]]
#: The model to the validation part of a history row; "val_clean" must be in it.
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class Plan:
    """The numbers that shape a run.

    Attributes:
        batch_size: samples per optimiser step, over all processes and pieces.
        accumulation: pieces that each process computes its share of a batch in.
        clip_norm: largest norm of the gradient, or None.
        checkpoint_every: steps between checkpoints within an epoch; 0 for none.
        keep_best_on: name of the validation figure whose best epoch is kept as well, or None.
    """

    seed: int
    horizon: Horizon
    batch_size: int
    accumulation: int = 1
    clip_norm: float | None = None
    checkpoint_every: int = 0
    keep_best_on: str | None = None


@dataclass
class Totals:
    """What an epoch adds up. Sums of this process; part of the checkpoint."""

    samples: int = 0
    loss: float = 0.0
    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0


@dataclass
class Progress:
    """Where a run is: whole epochs done, steps done in the current one, and its totals.

    `used` holds eps, alpha and the learning rates of the last optimiser step.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    totals: Totals = field(default_factory=Totals)
    used: dict[str, float] = field(default_factory=dict)
    best: float | None = None


@dataclass
class Run:
    """The parts of a run, ready made. `model` and `optimiser` went through `accelerator`."""

    plan: Plan
    accelerator: Accelerator
    model: nn.Module
    objective: Objective
    attack: Attack
    schedule: EpsilonScheduler
    optimiser: Optimizer
    lr_schedule: LRScheduler
    batches: EpochBatches
    augment: Augment
    validate: Validate
    history: History
    checkpoints: CheckpointStore
    best: CheckpointStore
    reporter: Reporter
    progress: Progress = field(default_factory=Progress)

    @property
    def bare_model(self) -> nn.Module:
        """The model without the wrapper of distributed training, whose hooks an attack avoids."""
        model: nn.Module = self.accelerator.unwrap_model(self.model)
        return model

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.progress.epoch * self.plan.horizon.steps_per_epoch + self.progress.step_in_epoch


def fit(run: Run, name: str = "training") -> None:
    """Train to the end of the horizon, from wherever `run.progress` stands.

    Raises:
        Interrupted: a signal asked to stop; a checkpoint was written first.
        RunError: the loss is no longer a finite number.
    """
    run.reporter.start(name, run.plan.horizon, run.step)
    try:
        with Interrupts() as interrupts:
            while run.progress.epoch < run.plan.horizon.epochs:
                train_epoch(run, interrupts)
                finish_epoch(run)
                if interrupts.requested(run.accelerator):
                    interrupts.stop(run.step)
    finally:
        run.reporter.stop()


def train_epoch(run: Run, interrupts: Interrupts) -> None:
    """Take the optimiser steps that are left of the current epoch."""
    progress, started = run.progress, time.perf_counter()
    for batch in run.batches(progress.epoch, progress.step_in_epoch):
        train_batch(run, batch)
        progress.step_in_epoch += 1
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


def train_batch(run: Run, batch: Batch) -> None:
    """One optimiser step on one batch, in `accumulation` pieces."""
    run.model.train()
    run.progress.used = {
        "eps": run.schedule.eps,
        "alpha": run.schedule.alpha,
        **learning_rates(run.optimiser),
    }
    pieces = split(batch.to(run.accelerator.device), run.plan.accumulation)
    rank = run.accelerator.process_index
    with scoped_seed(run.plan.seed, "step", run.step, rank):
        for number, piece in enumerate(pieces, start=1):
            if number < len(pieces):
                with run.accelerator.no_sync(run.model):
                    train_piece(run, piece)
            else:
                train_piece(run, piece)
    if run.plan.clip_norm is not None:
        run.accelerator.clip_grad_norm_(run.model.parameters(), run.plan.clip_norm)
    run.optimiser.step()
    run.optimiser.zero_grad(set_to_none=True)
    run.lr_schedule.step()
    run.schedule.step()


def train_piece(run: Run, piece: Batch) -> None:
    """Add the gradient of one piece; the pieces of all processes make the batch's mean."""
    accelerator, epoch, totals = run.accelerator, run.progress.epoch, run.progress.totals
    seed, eps = run.plan.seed, run.progress.used["eps"]
    images = run.augment(piece.pixels(), Noise.of(seed, piece.samples, "augment", epoch))
    model, attacked = Counted(run.model), Counted(run.bare_model)
    noise = Noise.of(seed, piece.samples, "attack", epoch)
    perturb = perturbation(run, attacked, eps, noise) if eps > 0 else None
    with accelerator.autocast():
        terms = run.objective(model, images, piece.labels, perturb)
    # Processes average their gradients, so each scales its sum by their number.
    share = accelerator.num_processes / run.plan.batch_size
    loss = float(terms.loss.detach().sum())
    require_finite(loss, run)
    accelerator.backward(terms.loss.sum() * share)
    totals.samples += len(piece)
    totals.loss += loss
    totals.forwards += model.forwards + attacked.forwards
    totals.backwards += model.backwards + attacked.backwards


def perturbation(run: Run, model: Counted, eps: float, noise: Noise) -> Perturb:
    """Return what an objective calls to have images perturbed at the current strength."""

    def perturb(images: Tensor, targets: Tensor, loss: Any = None) -> Tensor:
        with run.accelerator.autocast():
            return run.attack(model, images, targets, eps, noise, loss=loss)

    return perturb


def split(batch: Batch, pieces: int) -> list[Batch]:
    """Cut a batch into equal pieces."""
    parts = (part.chunk(pieces) for part in (batch.images, batch.labels, batch.samples))
    return [Batch(*part) for part in zip(*parts, strict=True)]


def finish_epoch(run: Run) -> None:
    """Validate, tell the schedule, append the history row and save a checkpoint."""
    progress = run.progress
    same_buffers(run)
    row = {
        "epoch": progress.epoch + 1,
        "step": run.step,
        **progress.used,
        **epoch_figures(run),
        **run.validate(run.model),
    }
    run.schedule.observe(row["val_clean"])
    progress.epoch, progress.step_in_epoch, progress.totals = progress.epoch + 1, 0, Totals()
    if run.accelerator.is_main_process:
        run.history.append(row)
        run.reporter.epoch(row)
    run.accelerator.log(row, step=row["step"])
    keep_best(run, row)
    save_checkpoint(run)


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


def require_finite(loss: float, run: Run) -> None:
    """Stop before a step would destroy the weights.

    Raises:
        RunError: the loss is not a finite number.
    """
    if not math.isfinite(loss):
        raise RunError(
            f"the training loss is {loss} at step {run.step + 1}: lower optimiser.backbone_lr and "
            "optimiser.head_lr, or set optimiser.clip_norm=1.0."
        )


def same_buffers(run: Run) -> None:
    """Give every process the first one's BatchNorm statistics: one model is validated and saved."""
    if run.accelerator.num_processes > 1:
        for buffer in run.bare_model.buffers():
            broadcast(buffer, from_process=0)


def keep_best(run: Run, row: dict[str, Any]) -> None:
    """Keep the weights of the best epoch so far, where the plan asks for it."""
    figure = run.plan.keep_best_on
    if figure is None or (run.progress.best is not None and row[figure] <= run.progress.best):
        return
    run.progress.best = row[figure]
    if run.accelerator.is_main_process:
        state = {"epoch": row["epoch"], figure: row[figure]}
        run.best.save(Checkpoint(row["step"], run.bare_model.state_dict(), {}, state))


def save_checkpoint(run: Run) -> None:
    """Write everything that an exact continuation needs. Called by every process."""
    totals = gather_object([asdict(run.progress.totals)])
    if run.accelerator.is_main_process:
        run.checkpoints.save(
            Checkpoint(
                step=run.step,
                model=run.bare_model.state_dict(),
                optimiser=_tensor_states(run),
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
    """Put the newest checkpoint back into the run; False where there is none."""
    checkpoint = run.checkpoints.latest()
    if checkpoint is None:
        return False
    run.bare_model.load_state_dict(checkpoint.model)
    run.optimiser.load_state_dict(checkpoint.optimiser["optimiser"])
    if run.accelerator.scaler is not None and "scaler" in checkpoint.optimiser:
        run.accelerator.scaler.load_state_dict(checkpoint.optimiser["scaler"])
    run.lr_schedule.load_state_dict(checkpoint.state["lr_schedule"])
    run.schedule.load_state_dict(checkpoint.state["schedule"])
    run.progress = _restored_progress(checkpoint.state["progress"], run.accelerator)
    return True


def _restored_progress(state: dict[str, Any], accelerator: Accelerator) -> Progress:
    """Sums were kept per process; on another number of processes the first takes them all."""
    parts = [Totals(**part) for part in state["totals"]]
    if len(parts) == accelerator.num_processes:
        totals = parts[accelerator.process_index]
    elif accelerator.is_main_process:
        totals = Totals(*(sum(column) for column in zip(*map(_values, parts), strict=True)))
        totals.seconds = max(part.seconds for part in parts)
    else:
        totals = Totals()
    return Progress(**{**state, "totals": totals})


def _values(totals: Totals) -> tuple[float, ...]:
    return tuple(asdict(totals).values())


def _tensor_states(run: Run) -> dict[str, Any]:
    states = {"optimiser": run.optimiser.state_dict()}
    if run.accelerator.scaler is not None:
        states["scaler"] = run.accelerator.scaler.state_dict()
    return states
