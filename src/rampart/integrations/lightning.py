"""Rampart in Lightning: a module with the training step, and a callback that changes eps."""

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
    """A Lightning module with the training step of robust fine-tuning.

    Batches are (images, labels) or (images, labels, indices), see `RobustLoss`. Define
    `robust_loss`, and `configure_optimizers` and validation as usual. In `validation_step`,
    `self.robust.perturbed(images, labels)` returns the images under attack.
    """

    _robust: RobustLoss | None = None

    @property
    def robust(self) -> RobustLoss:
        """The loss of the run; it exists once `fit` has begun.

        Raises:
            RunError: `fit` has not begun, or the Trainer lacks the callback `RobustTraining`.
        """
        if self._robust is None:
            raise RunError(
                "the module has no loss yet, and no callback changes eps: give the Trainer "
                "callbacks=[RobustTraining()], which creates the loss when fit() begins."
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
            RunError: the Trainer lacks the callback `RobustTraining`.
            InvalidArgument: the batch has another form.
        """
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            expected = "(images, labels) or (images, labels, indices)"
            do = "convert your batch in training_step, and call super().training_step"
            raise InvalidArgument("batch", type(batch).__name__, expected, do)
        loss: Tensor = self.robust(*batch)
        self.log("train_loss", loss.detach())
        return loss


class RobustTraining(pl.Callback):
    """Changes eps during the training of a `RobustModule`.

    It asks the module for its loss once the length of the run is known. After every optimizer step
    it logs `eps` and steps the schedule. After every epoch it passes the logged metric `monitor` to
    a schedule that needs it. Lightning's checkpoints contain the state of the schedule.

    Args:
        monitor: name of the clean validation accuracy, a fraction. With several processes their
            mean is used.
    """

    def __init__(self, monitor: str = "val_clean") -> None:
        self._monitor = monitor
        self._steps = 0
        self._robust: RobustLoss | None = None
        self._restored: dict[str, Any] | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Create the module's loss.

        Raises:
            InvalidArgument: the module is not a `RobustModule`, or the run has no end.
        """
        if not isinstance(pl_module, RobustModule):
            got = type(pl_module).__name__
            raise InvalidArgument("model", got, "a RobustModule, which has the training step")
        self._robust = pl_module.robust = pl_module.robust_loss(_horizon(trainer))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the schedule from the checkpoint that the run resumes from.

        Raises:
            RunError: the checkpoint does not contain its state.
        """
        assert self._robust is not None, "fit has begun"
        self._steps = trainer.global_step
        if self._restored is not None:
            self._robust.load_state_dict(self._restored)
            self._restored = None
        elif self._steps:
            raise RunError(
                f"the run resumes at step {self._steps}, but the state of the schedule is missing: "
                "resume from a checkpoint of a Trainer with RobustTraining, or start with a new "
                "Trainer."
            )

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Step the schedule, unless this batch was only accumulated."""
        if self._robust is None or trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        pl_module.log("eps", self._robust.scheduler.eps)
        self._robust.step()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Pass the validation accuracy to a schedule that needs it, after each epoch.

        Raises:
            InvalidArgument: the module does not log it.
        """
        if self._robust is None or trainer.sanity_checking:
            return
        if not self._robust.waits_for_validation:
            return
        if self._monitor not in trainer.callback_metrics:
            known = ", ".join(trainer.callback_metrics) or "none"
            raise InvalidArgument("monitor", self._monitor, f"a logged metric ({known})")
        # A process may have logged the accuracy on its own part of the images.
        value = torch.as_tensor(trainer.callback_metrics[self._monitor], dtype=torch.float32)
        mean = trainer.strategy.reduce(value.to(pl_module.device), reduce_op="mean")
        self._robust.observe(float(mean))

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's state, for Lightning's checkpoint."""
        return {} if self._robust is None else self._robust.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Store the state until the loss exists."""
        self._restored = state_dict or None


def _horizon(trainer: pl.Trainer) -> Horizon:
    """Return the length of the run in epochs and optimizer steps; `max_steps` may shorten it."""
    steps = trainer.estimated_stepping_batches
    if not 1 <= steps < math.inf:
        raise InvalidArgument(
            "max_epochs",
            trainer.max_epochs,
            "the length of the run, which the schedule needs",
            "if the loader has no length, set max_steps",
        )
    # With max_steps alone Lightning has not set up the loader yet.
    trainer.fit_loop.setup_data()
    batches = trainer.num_training_batches
    if not 1 <= batches < math.inf:
        return Horizon(1, int(steps))
    per_epoch = min(int(steps), math.ceil(batches / trainer.accumulate_grad_batches))
    return Horizon(math.ceil(steps / per_epoch), per_epoch)
