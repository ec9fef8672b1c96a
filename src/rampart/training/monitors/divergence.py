"""Divergence: a loss that explodes, and weights that are not finite."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rampart.errors import Diverged
from rampart.training.monitors.base import Alert, Memory, Monitor, Observation, Row, begins

#: A loss has exploded if it is this many times its reference.
FACTOR = 3.0


@dataclass(frozen=True)
class Divergence(Monitor):
    """Watches the training loss, which costs no further pass.

    ln K is the loss of uniform guessing (TRADES' divergence is 0 for it; MART's margin term adds
    -ln(1 - 1/K), which is small for several classes). The loss of an epoch has exploded in two
    cases:

    - It is above 3 ln K, and the clean validation loss is above ln K. The training loss alone may
      be that large for a while after eps has risen, because a model under a stronger attack is
      sure of the wrong class. A model worse than guessing without any attack has diverged.
    - It is above ln K, and above 3 times the loss of an earlier epoch whose strength was at least
      as large from beginning to end. A rise of eps alone therefore never raises this alert.

    Attributes:
        num_classes: K.
    """

    name: ClassVar[str] = "divergence"

    num_classes: int

    def observe(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return an alert when the loss explodes."""
        loss, least = row["train_loss"], _lowest_loss(memory, row["eps"])
        guessing = math.log(self.num_classes)
        lost = loss > FACTOR * guessing and row["val_clean_loss"] > guessing
        worse = least is not None and loss > max(guessing, FACTOR * least)
        _note(memory, row["eps"], loss)
        if not begins(memory, lost or worse):
            return Observation()
        earlier = "an earlier epoch at the same eps or a larger one"
        before = f", after {least:.3g} in {earlier}" if worse else ""
        message = (
            f"the training loss explodes: {loss:.3g} in epoch {row['epoch']}{before}. Guessing "
            f"has a loss of ln {self.num_classes} = {guessing:.2f}. Restart with lower "
            "optimizer.backbone_lr and optimizer.head_lr, or with optimizer.clip_norm=1.0."
        )
        return Observation(alerts=(Alert("exploding-loss", message),))


def _lowest_loss(memory: Memory, eps: float) -> float | None:
    """Return the lowest loss of the epochs whose strength was never below `eps`."""
    return min((loss for weakest, loss in memory.get("losses", []) if weakest >= eps), default=None)


def _note(memory: Memory, eps: float, loss: float) -> None:
    """Store the loss with the smallest strength of the epoch: at its beginning or its end."""
    memory.setdefault("losses", []).append([min(memory.get("eps", 0.0), eps), loss])
    memory["eps"] = eps


def require_finite_weights(model: nn.Module, step: int) -> None:
    """Refuse to save weights that are not finite.

    Args:
        model: its parameters and buffers are checked.
        step: number of finished optimizer steps.

    Raises:
        Diverged: a value is infinite or NaN.
    """
    for name, tensor in model.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise Diverged(
                f"{name} of the model is not finite after step {step}: restart with lower "
                "optimizer.backbone_lr and optimizer.head_lr, or with optimizer.clip_norm=1.0. "
                "The last checkpoint is still valid."
            )
