"""Training that runs away: losses that explode, weights that are no numbers any more."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rampart.errors import RunError
from rampart.training.monitors.base import Alert, Memory, Monitor, Observation, Row, begins

#: How many times what it should be a loss is when it has exploded.
FACTOR = 3.0


@dataclass(frozen=True)
class Divergence(Monitor):
    """Watches the training loss, which is there at no cost.

    ln K is the loss of a model that knows nothing (TRADES' divergence is 0 for it; MART's margin
    term adds -ln(1 - 1/K), which is little where there are several classes). The loss of an epoch
    has exploded where either

    - it is above 3 ln K, and the clean validation loss is above ln K as well. The training loss
      alone may be that large for a while when eps has risen, as a model under a stronger attack is
      sure of the wrong answer; a model that is worse than none without any attack has diverged; or
    - it is above ln K, and above 3 times the loss of an earlier epoch that was at least as strong
      from beginning to end. A rise of eps alone never fires this one: an epoch at a smaller
      strength is not compared with.

    Attributes:
        num_classes: K.
    """

    name: ClassVar[str] = "divergence"

    num_classes: int

    def query(self, model: nn.Module, row: Row, memory: Memory) -> Observation:
        """Return an alert when the loss explodes."""
        loss, least = row["train_loss"], _least(memory, row["eps"])
        alone = math.log(self.num_classes)
        lost = loss > FACTOR * alone and row["val_clean_loss"] > alone
        worse = least is not None and loss > max(alone, FACTOR * least)
        _note(memory, row["eps"], loss)
        if not begins(memory, lost or worse):
            return Observation()
        before = f", after {least:.3g} in an epoch no weaker than this one" if worse else ""
        message = (
            f"the training loss explodes: {loss:.3g} in epoch {row['epoch']}{before}, where a "
            f"model that knows nothing has ln {self.num_classes} = {alone:.2f}. Start again with "
            "lower optimizer.backbone_lr and optimizer.head_lr, or with optimizer.clip_norm=1.0."
        )
        return Observation(alerts=(Alert("exploding-loss", message),))


def _least(memory: Memory, eps: float) -> float | None:
    """The lowest loss of the epochs that were nowhere weaker than `eps`."""
    return min((loss for weakest, loss in memory.get("losses", []) if weakest >= eps), default=None)


def _note(memory: Memory, eps: float, loss: float) -> None:
    """Remember an epoch's loss with its weakest strength: where the last one ended, or its own."""
    memory.setdefault("losses", []).append([min(memory.get("eps", 0.0), eps), loss])
    memory["eps"] = eps


def require_finite_weights(model: nn.Module, step: int) -> None:
    """Stop before weights that are no numbers are kept.

    Args:
        model: whose parameters and buffers are looked at.
        step: optimizer steps done.

    Raises:
        RunError: a value is infinite or not a number.
    """
    for name, tensor in model.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise RunError(
                f"{name} of the model is not finite after step {step}: start again with lower "
                "optimizer.backbone_lr and optimizer.head_lr, or with optimizer.clip_norm=1.0; "
                "the checkpoint before is kept."
            )
