"""One optimizer step: batch and micro-batch. `rampart.training.loop` shows the whole loop."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from rampart.attacks.base import CountingModel
from rampart.data.batches import Batch
from rampart.devices import tf32
from rampart.errors import Diverged
from rampart.losses import Loss
from rampart.objectives.base import Perturb
from rampart.runtime import Noise, scoped_seed
from rampart.strategies.base import chosen, drop_gradients, set_modes
from rampart.training.callbacks.base import Gradients
from rampart.training.optimizers import learning_rates, scaled_rates
from rampart.training.perturbing import make_perturb
from rampart.training.state import Totals, Training


def train_batch(run: Training, batch: Batch) -> None:
    """Take one optimizer step on a batch, in `gradient_accumulation_steps` micro-batches."""
    alpha, eps, bare = run.schedule.alpha, run.schedule.eps, run.bare_model
    probing = run.schedule.probing
    run.model.train()
    set_modes(run.strategies, bare, alpha, probing)
    micro_batches = [
        MicroBatch(p)
        for p in batch.to(run.accelerator.device).split(run.plan.gradient_accumulation_steps)
    ]
    with tf32(run.tf32), scaled_rates(run.optimizer, run.plan.ramp_lr_factor if eps > 0 else 1.0):
        run.progress.used = {"eps": eps, "alpha": alpha, **learning_rates(run.optimizer)}
        run.current_objective.begin_step(run.step, run.plan.horizon)
        with chosen(run.strategies, bare, run.defense):
            take_gradient(run, micro_batches)
        drop_gradients(run.strategies, bare, alpha, probing)
        if run.plan.clip_norm is not None:
            run.accelerator.clip_grad_norm_(run.model.parameters(), run.plan.clip_norm)
        run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.lr_schedule.step()
    for hook in run.hooks.values():
        hook.stepped(bare, alpha)
    step_schedule(run, sum(micro_batch.correct for micro_batch in micro_batches))
    run.progress.step_in_epoch += 1


@dataclass
class MicroBatch:
    """A part of a batch that is computed at once; a hook may compute its gradient twice.

    Attributes:
        batch: its samples.
        correct: (), number of samples classified correctly at the strength of the step.
        perturbed: its perturbed images, in the order of the objective's calls.
        computed: whether its gradient was computed once, so that the totals include it.
    """

    batch: Batch
    correct: Tensor | int = 0
    perturbed: list[Tensor] = field(default_factory=list)
    computed: bool = False


def take_gradient(run: Training, micro_batches: list[MicroBatch]) -> None:
    """Compute the gradient of a batch, inside the hooks."""

    def gradients() -> None:
        with scoped_seed(run.plan.seed, "step", run.step, run.accelerator.process_index):
            for micro_batch in micro_batches[:-1]:
                with run.accelerator.no_sync(run.model):
                    train_micro_batch(run, micro_batch)
            train_micro_batch(run, micro_batches[-1])

    take: Gradients = gradients
    for hook in reversed(list(run.hooks.values())):
        take = partial(hook.around, run.bare_model, take, run.progress.used["eps"])
    take()


def step_schedule(run: Training, correct: Tensor | int) -> None:
    """Step the schedule after an optimizer step.

    Args:
        run: the training.
        correct: (), number of this process's samples classified correctly at the strength of the
            step.
    """
    if not run.schedule.schedule.needs_accuracy:
        run.schedule.step()
        return
    # Integers have the same sum on any number of processes.
    accuracy = int(run.accelerator.reduce(correct, "sum")) / run.plan.batch_size
    run.schedule.step(accuracy)
    decision = (run.progress.used["alpha"], accuracy, run.schedule.decision)
    run.progress.decisions.append(decision)


def train_micro_batch(run: Training, micro_batch: MicroBatch) -> None:
    """Add the gradient of one micro-batch.

    The micro-batches of all processes together give the mean over the batch.
    """
    accelerator, totals = run.accelerator, run.progress.totals
    eps, batch = run.progress.used["eps"], micro_batch.batch
    images = run.augment(batch.pixels(), _augmentation(run, batch))
    model, attacked = CountingModel(run.model), CountingModel(run.bare_model)
    perturb = perturb_once(run, attacked, eps, micro_batch) if eps > 0 else None
    with accelerator.autocast():
        objective = run.current_objective.of_images(batch.indices)
        terms = objective(model, images, batch.labels, perturb)
    losses = weighted(terms.loss, batch.labels, run.class_weights)
    # Processes average their gradients, so each multiplies its sum by their number.
    fraction = accelerator.num_processes / run.plan.batch_size
    run.losses.add(losses.detach().sum(), run.step + 1, counts=not micro_batch.computed)
    if run.losses.full:
        read_losses(run)
    accelerator.backward(losses.sum() * fraction)
    totals.forwards += model.forwards + attacked.forwards + terms.forwards
    totals.backwards += model.backwards + attacked.backwards
    if micro_batch.computed:
        return
    totals.samples += len(batch)
    micro_batch.correct, micro_batch.computed = terms.correct.sum(), True


def weighted(losses: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the losses (N,), each times the weight (K,) of its class."""
    return losses if weights is None else losses * weights.to(losses.device)[labels]


def perturb_once(
    run: Training, model: CountingModel, eps: float, micro_batch: MicroBatch
) -> Perturb:
    """Return the function that an objective calls to perturb images at the current strength.

    A hook that computes the gradient again gets the images of the first time.
    """
    batch, plan, warm = micro_batch.batch, run.plan, run.warm_start
    noise = Noise.of(plan.seed, batch.noise_keys, "attack", run.progress.epoch)
    start = keep = None
    if warm is not None:
        flipped = run.augment.flips(_augmentation(run, batch))
        start = partial(warm.points, indices=batch.indices, flipped=flipped)
        keep = partial(warm.keep, indices=batch.indices, flipped=flipped)
    make = make_perturb(
        run.current_attack,
        model,
        eps,
        noise,
        alpha=run.progress.used["alpha"],
        fewer_steps=plan.fewer_steps,
        fewest_steps=plan.fewest_steps,
        start=start,
    )
    made = iter(micro_batch.perturbed)

    def perturb(images: Tensor, targets: Tensor, loss: Loss | None = None) -> Tensor:
        if micro_batch.computed:
            return next(made)
        with run.accelerator.autocast():
            points = make(images, targets, loss)
        if keep is not None:
            keep(points, images)
        if run.hooks:
            micro_batch.perturbed.append(points)
        return points

    return perturb


def _augmentation(run: Training, batch: Batch) -> Noise:
    """Return the noise of the augmentation, the same whenever it is asked for."""
    return Noise.of(run.plan.seed, batch.noise_keys, "augment", run.progress.epoch)


def waited_for(batches: Iterable[Batch], totals: Totals) -> Iterator[Batch]:
    """Yield batches, and count the seconds that each is waited for."""
    coming, started = iter(batches), time.perf_counter()
    while (batch := next(coming, None)) is not None:
        totals.data_seconds += time.perf_counter() - started
        yield batch
        started = time.perf_counter()


def read_losses(run: Training) -> None:
    """Read the losses that are unread, and add them to the totals; a GPU is waited for.

    Raises:
        Diverged: a loss is not finite.
    """
    for loss, step, counts in run.losses.read():
        if not math.isfinite(loss):
            raise Diverged(
                f"the training loss is {loss} at step {step}: lower optimizer.backbone_lr and "
                "optimizer.head_lr, or set optimizer.clip_norm=1.0."
            )
        if counts:
            run.progress.totals.loss += loss
