"""The twin of a run: what standard fine-tuning makes of the same model in the same epochs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
from accelerate import Accelerator
from torch import nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from rampart.data.batches import Batch, epoch_batches, ordered_batches
from rampart.data.splits import Splits
from rampart.data.transforms import Augment
from rampart.evaluation.accuracy import evaluate_accuracy
from rampart.objectives.base import Objective
from rampart.recipes.config.run_config import RunConfig
from rampart.runtime import Noise, scoped_seed
from rampart.strategies.base import set_modes
from rampart.training.loop import split
from rampart.training.optimisers import cosine_schedule
from rampart.training.run import Plan


@dataclass(frozen=True)
class StandardTwin:
    """Trains a copy of a run's initial model without attack; nothing of the run is touched.

    Initial weights, batches, augmentation, learning rates and precision are the run's. On one
    process the twin is, bit for bit, the run under `schedule=standard`. Each process trains its
    own, in pieces of the run's size and without the run's wrappers, so none waits for another.
    An epoch costs 2 passes an image.

    Attributes:
        config: the run's.
        splits: the run's.
        plan: the run's.
        accelerator: the run's, for device and precision only.
        start: makes the model as it was before training, with a fresh optimiser.
    """

    config: RunConfig
    splits: Splits
    plan: Plan
    accelerator: Accelerator
    start: Callable[[], tuple[nn.Module, Optimizer]]

    def __call__(self, epochs: int) -> float:
        """Return the clean accuracy on the validation split after some epochs, 1 or more."""
        return next(islice(self.accuracies(), epochs - 1, None))

    def accuracies(self) -> Iterator[float]:
        """Train; yield the clean accuracy on the validation split after each epoch of the run."""
        model, optimiser = self.start()
        model.to(self.accelerator.device)
        objective = self.config.components.objective.bind(model)
        rates = cosine_schedule(optimiser, self.plan.horizon, self.config.optimiser.warmup)
        scaled = self.accelerator.scaler is not None
        scaler = GradScaler(self.accelerator.device.type, enabled=scaled)
        for epoch in range(self.plan.horizon.epochs):
            for number, batch in enumerate(self._batches(epoch)):
                step = epoch * self.plan.horizon.steps_per_epoch + number
                self._add_gradient(model, objective, batch, epoch, step, scaler)
                self._step(model, optimiser, scaler)
                rates.step()
            yield evaluate_accuracy(model, self._validation()).clean

    def _validation(self) -> Iterable[Batch]:
        size, workers = self.config.evaluation.batch_size, self.config.data.workers
        return ordered_batches(self.splits.validation, size, workers=workers)

    @cached_property
    def _augment(self) -> Augment:
        return Augment(**vars(self.config.data.augment))

    def _batches(self, epoch: int) -> Iterable[Batch]:
        size, seed, workers = self.plan.batch_size, self.plan.seed, self.config.data.workers
        return epoch_batches(self.splits.train, size, seed=seed, epoch=epoch, workers=workers)

    def _add_gradient(
        self,
        model: nn.Module,
        objective: Objective,
        batch: Batch,
        epoch: int,
        step: int,
        scaler: GradScaler,
    ) -> None:
        """As the run's step does it, on the batches of all processes."""
        # As at full strength: what a strategy does in a first phase is no part of the question.
        set_modes(self.config.components.strategies.values(), model, 1.0)
        pieces = split(
            batch.to(self.accelerator.device),
            self.plan.accumulation * self.accelerator.num_processes,
        )
        with scoped_seed(self.plan.seed, "step", step, 0):
            for piece in pieces:
                noise = Noise.of(self.plan.seed, piece.samples, "augment", epoch)
                images = self._augment(piece.pixels(), noise)
                with self.accelerator.autocast():
                    loss = objective(model, images, piece.labels, None).loss
                total = scaler.scale(loss.sum() * (1 / self.plan.batch_size))
                torch.autograd.backward(total)

    def _step(self, model: nn.Module, optimiser: Optimizer, scaler: GradScaler) -> None:
        if self.plan.clip_norm is not None:
            scaler.unscale_(optimiser)
            clip_grad_norm_(model.parameters(), self.plan.clip_norm)
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad(set_to_none=True)
