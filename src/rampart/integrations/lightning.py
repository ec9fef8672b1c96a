"""Rampart in Lightning: a module with the training step, and a callback that moves eps."""

import math
from abc import abstractmethod
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from rampart.errors import InvalidArgument, RunError
from rampart.integrations.robust import RobustLoss
from rampart.units import Horizon


class RobustModule(pl.LightningModule):
    """A Lightning module whose training step is that of robust fine-tuning.

    Batches are (images, labels) or (images, labels, samples), see `RobustLoss`. Write
    `configure_optimizers` and validation as always, and `robust_loss`. In `validation_step`,
    `self.robust.perturbed(images, labels)` are the images under attack.
    """

    _robust: RobustLoss | None = None

    @property
    def robust(self) -> RobustLoss:
        """The loss of the run, from when `fit` has begun.

        Raises:
            RunError: there is none yet, or nothing moves eps.
        """
        if self._robust is None:
            raise RunError(
                "the module has no loss, and nothing moves eps: give the Trainer "
                "callbacks=[RobustTraining()], which makes it when fit() begins."
            )
        return self._robust

    @robust.setter
    def robust(self, loss: RobustLoss) -> None:
        self._robust = loss

    @abstractmethod
    def robust_loss(self, horizon: Horizon) -> RobustLoss:
        """Return the loss for a run of this length."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss at the current strength, logged as `train_loss`.

        Raises:
            RunError: nothing moves eps.
            InvalidArgument: the batch is of another form.
        """
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            expected = "(images, labels) or (images, labels, samples)"
            do = "take them out of yours in training_step, and call super().training_step"
            raise InvalidArgument("batch", type(batch).__name__, expected, do)
        loss: Tensor = self.robust(*batch)
        self.log("train_loss", loss.detach())
        return loss


class RobustTraining(pl.Callback):
    """Moves eps in the training of a `RobustModule`.

    It asks the module for its loss once the length of the run is known, logs `eps` and moves it on
    after every step of the optimizer, shows the schedule what the module logs as `monitor` at the
    end of every epoch, and keeps the schedule's state in Lightning's checkpoints.

    Args:
        monitor: name of the clean validation accuracy, a fraction, for a schedule that is shown it.
            On several processes their mean is taken.
    """

    def __init__(self, monitor: str = "val_clean") -> None:
        self._monitor = monitor
        self._steps = 0
        self._robust: RobustLoss | None = None
        self._restored: dict[str, Any] | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have the module make its loss.

        Raises:
            InvalidArgument: no `RobustModule`, or a run without an end.
        """
        if not isinstance(pl_module, RobustModule):
            got = type(pl_module).__name__
            raise InvalidArgument("model", got, "a RobustModule, which has the training step")
        self._robust = pl_module.robust = pl_module.robust_loss(_horizon(trainer))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put back the state of the checkpoint that the run goes on from.

        Raises:
            RunError: it has none.
        """
        assert self._robust is not None, "the fit has started"
        self._steps = trainer.global_step
        if self._restored is not None:
            self._robust.load_state_dict(self._restored)
            self._restored = None
        elif self._steps:
            raise RunError(
                f"the run goes on from step {self._steps}, but nothing says where eps was: resume "
                "from a checkpoint of a Trainer with RobustTraining, or begin with a new Trainer."
            )

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
        """Show the schedule the validation accuracy after each epoch, where it needs that.

        Raises:
            InvalidArgument: the module does not log it.
        """
        if self._robust is None or trainer.sanity_checking:
            return
        if not self._robust.waits_for_validation:
            return
        if self._monitor not in trainer.callback_metrics:
            known = ", ".join(trainer.callback_metrics) or "none"
            raise InvalidArgument("monitor", self._monitor, f"a metric that is logged ({known})")
        # What a process has logged may be its own fraction of the images.
        value = torch.as_tensor(trainer.callback_metrics[self._monitor], dtype=torch.float32)
        mean = trainer.strategy.reduce(value.to(pl_module.device), reduce_op="mean")
        self._robust.observe(float(mean))

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's state, for Lightning's checkpoint."""
        return {} if self._robust is None else self._robust.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until the loss is made."""
        self._restored = state_dict or None


def _horizon(trainer: pl.Trainer) -> Horizon:
    """The length of the run in epochs and optimizer steps, which `max_steps` may cut short."""
    steps = trainer.estimated_stepping_batches
    if not 1 <= steps < math.inf:
        raise InvalidArgument(
            "max_epochs",
            trainer.max_epochs,
            "the length of the run",
            "a schedule has an end to arrive by; without the length of the loader set max_steps",
        )
    # With max_steps alone Lightning has not looked at the loader yet.
    trainer.fit_loop.setup_data()
    batches = trainer.num_training_batches
    if not 1 <= batches < math.inf:
        return Horizon(1, int(steps))
    per_epoch = min(int(steps), math.ceil(batches / trainer.accumulate_grad_batches))
    return Horizon(math.ceil(steps / per_epoch), per_epoch)
