"""The clean baseline of a run: standard fine-tuning of the same initial model."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from rampart.data.batches import Batch, epoch_batches, ordered_batches
from rampart.data.splits import Splits
from rampart.data.transforms import Augment
from rampart.evaluation.accuracy import evaluate_accuracy
from rampart.progress.work import watched
from rampart.recipes.computing import computing, decoding_workers
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.guidance import bound_objective
from rampart.schedules.hinge import Fix
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.training.monitors.transfer import Standard
from rampart.training.one_process import OneProcess
from rampart.training.optimizers import lr_schedule
from rampart.training.state import Plan, Training, Validate
from rampart.training.step import read_losses, train_batch, waited_for


@dataclass(frozen=True)
class CleanBaseline:
    """Trains a copy of a run's initial model without an attack; the run itself does not change.

    Initial weights, batches, augmentation, learning rates and precision are those of the run. On
    one process the clean baseline equals the run under `schedule=standard` bit for bit. Each
    process trains its own copy, in micro-batches of the run's size and without the run's wrappers,
    so none waits for another. An epoch costs 2 passes per image, and one per validation image. The
    passes of one process count.

    Attributes:
        config: of the run.
        splits: of the run.
        plan: of the run.
        accelerator: of the run, for device and precision only.
        start: makes the model as it was before training, with a fresh optimizer.
        class_weights: of the run.
        validate: the validation of the run, if its epochs may become those of the run; by default
            only clean accuracy is measured.
    """

    config: RunConfig
    splits: Splits
    plan: Plan
    accelerator: Accelerator
    start: Callable[[], tuple[nn.Module, Optimizer]]
    class_weights: Tensor | None = None
    validate: Validate | None = None

    def __call__(self, epochs: int) -> Standard:
        """Return the clean accuracy on the validation split after some epochs, 1 or more."""
        return next(islice(self.accuracies(), epochs - 1, None))

    def accuracies(self) -> Iterator[Standard]:
        """Train; yield the clean accuracy on the validation split after each epoch of the run."""
        for _, _, found in self.epochs():
            yield found

    def epochs(self) -> Iterator[tuple[Training, dict[str, Any], Standard]]:
        """Train; yield the training after each epoch of the run, its history row and accuracy."""
        training, passes = self._training(), 0
        for epoch in range(self.plan.horizon.epochs):
            started = time.perf_counter()
            batches = waited_for(self._batches(epoch), training.progress.totals)
            steps = self.plan.horizon.steps_per_epoch
            for batch in watched(batches, "clean baseline", steps, "step"):
                train_batch(training, batch)
            read_losses(training)
            training.progress.totals.seconds = time.perf_counter() - started
            row = self._row(training)
            training.progress.begin_next_epoch()
            training.objective.finish_epoch()
            row |= self._validated(training.model, epoch + 1)
            passes += row["forwards"] + row["backwards"] + row["validation_passes"]
            yield training, row, Standard(row["val_clean"], passes)

    def _validated(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Return the validation figures of a history row."""
        if self.validate:
            return self.validate(model, epoch)
        found = evaluate_accuracy(model, self._validation())
        return {**found.figures(), "validation_passes": found.passes}

    def _row(self, training: Training) -> dict[str, Any]:
        """Return the row of an epoch, as the history of a run at eps = 0 has it."""
        progress, totals = training.progress, training.progress.totals
        return {
            "epoch": progress.epoch + 1,
            "step": training.step,
            **progress.used,
            "alpha": 0.0,
            "train_loss": totals.loss / totals.samples,
            "forwards": totals.forwards,
            "backwards": totals.backwards,
            "seconds": totals.seconds,
            "data_seconds": totals.data_seconds,
            "images_per_second": totals.samples / max(totals.seconds, 1e-9),
        }

    def _training(self) -> Training:
        """Return the training of the run, at eps = 0 and without callbacks."""
        model, optimizer = self.start()
        model.to(self.accelerator.device)
        one = OneProcess(self.accelerator, optimizer)
        course = self.config.optimizer
        rates = lr_schedule(
            one.optimizer,
            self.plan.horizon,
            course.warmup,
            course.lr_schedule,
            course.milestones,
        )
        micro_batches = self.plan.gradient_accumulation_steps * self.accelerator.num_processes
        components = self.config.components
        return Training(
            plan=replace(self.plan, gradient_accumulation_steps=micro_batches),
            accelerator=one,
            tf32=computing(self.config).tf32,
            model=model,
            objective=bound_objective(self.config, self.splits, model),
            attack=components.attack,
            # At alpha = 1, so that strategies act as after a phase at eps = 0.
            schedule=EpsilonScheduler(Fix(), 0.0, self.plan.horizon),
            optimizer=one.optimizer,
            lr_schedule=rates,
            augment=Augment(**vars(self.config.data.augment)),
            strategies=tuple(components.strategies.values()),
            class_weights=self.class_weights,
        )

    def _validation(self) -> Iterable[Batch]:
        size, workers = self.config.evaluation.batch_size, decoding_workers(self.config)
        return ordered_batches(self.splits.validation, size, workers=workers)

    def _batches(self, epoch: int) -> Iterable[Batch]:
        return epoch_batches(
            self.splits.train,
            self.plan.batch_size,
            seed=self.plan.seed,
            epoch=epoch,
            workers=decoding_workers(self.config),
            sampler=self.config.training.sampler,
        )
