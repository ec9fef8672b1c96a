"""Rampart in Lightning: a module with the training step, and a callback that moves eps."""

import math
from abc import abstractmethod
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from rampart.errors import InvalidArgument
from rampart.integrations.robust import RobustLoss
from rampart.units import Horizon


class RobustModule(pl.LightningModule):
    """A Lightning module whose training step is that of robust fine-tuning.

    Batches are (images, labels) or (images, labels, samples), see `RobustLoss`. Write
    `configure_optimizers` and validation as always, and `robust_loss`.
    """

    robust: RobustLoss

    @abstractmethod
    def robust_loss(self, horizon: Horizon) -> RobustLoss:
        """Return the loss for a run of this length."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss at the current strength, logged as `train_loss`."""
        images, labels, *samples = batch
        loss = self.robust(images, labels, *samples)
        self.log("train_loss", loss.detach())
        return loss


class RobustTraining(pl.Callback):
    """Moves eps in the training of a `RobustModule`.

    It asks the module for its loss once the length of the run is known, logs `eps` and moves it on
    after every step of the optimiser, shows the schedule what the module logs as `monitor`, and
    keeps the schedule's state in Lightning's checkpoints.

    Args:
        monitor: name of the clean validation accuracy, a share, for a schedule that is shown it.
    """

    def __init__(self, monitor: str = "val_clean") -> None:
        self._monitor = monitor
        self._steps = 0
        self._robust: RobustLoss | None = None
        self._restored: dict[str, Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have the module make its loss.

        Raises:
            InvalidArgument: no `RobustModule`, or a run without an end.
        """
        if not isinstance(pl_module, RobustModule):
            got = type(pl_module).__name__
            raise InvalidArgument("model", got, "a RobustModule, which has the training step")
        self._robust = pl_module.robust = pl_module.robust_loss(_horizon(trainer))
        if self._restored is not None:
            self._robust.load_state_dict(self._restored)
        self._steps = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move eps on, unless this batch was only accumulated."""
        if self._robust is None or trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        pl_module.log("eps", self._robust.scheduler.eps)
        self._robust.step()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the schedule the validation accuracy, where it needs that.

        Raises:
            InvalidArgument: the module does not log it.
        """
        if self._robust is None or trainer.sanity_checking:
            return
        if not self._robust.scheduler.schedule.needs_validation:
            return
        if self._monitor not in trainer.callback_metrics:
            known = ", ".join(trainer.callback_metrics) or "none"
            raise InvalidArgument("monitor", self._monitor, f"a metric that is logged ({known})")
        self._robust.observe(float(trainer.callback_metrics[self._monitor]))

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's state, for Lightning's checkpoint."""
        return {} if self._robust is None else self._robust.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until the loss is made."""
        self._restored = state_dict or None


def _horizon(trainer: pl.Trainer) -> Horizon:
    """The length of the run in epochs and optimiser steps."""
    steps, epochs = trainer.estimated_stepping_batches, trainer.max_epochs
    if not math.isfinite(steps):
        raise InvalidArgument(
            "max_epochs", epochs, "the length of the run", "a schedule has an end to arrive by"
        )
    if epochs is None or epochs < 1 or steps < epochs:
        return Horizon(1, int(steps))
    return Horizon(epochs, math.ceil(steps / epochs))
