"""The losses of the last steps, read together, because a GPU is waited for at each reading."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

#: Losses that are read together on a device other than the CPU.
TOGETHER = 50


@dataclass
class UnreadLosses:
    """Losses that were computed and not read yet.

    Attributes:
        limit: how many are read together. It is 1 on a CPU, which nothing waits for: there a loss
            that is not finite stops a run before it destroys the weights.
    """

    limit: int = 1
    _losses: list[Tensor] = field(default_factory=list)
    _steps: list[tuple[int, bool]] = field(default_factory=list)

    @classmethod
    def on(cls, device: torch.device) -> "UnreadLosses":
        """Return the store for a device."""
        return cls(1 if device.type == "cpu" else TOGETHER)

    @property
    def full(self) -> bool:
        """Whether it is time to read."""
        return len(self._losses) >= self.limit

    def add(self, loss: Tensor, step: int, counts: bool) -> None:
        """Store the loss of a micro-batch.

        Args:
            loss: (), the sum over its samples, detached.
            step: number of the step, counted from 1.
            counts: whether it belongs to the totals of the epoch.
        """
        self._losses.append(loss)
        self._steps.append((step, counts))

    def read(self) -> list[tuple[float, int, bool]]:
        """Return (loss, step, counts) of all in their order, and forget them; waits for a GPU."""
        if not self._losses:
            return []
        losses, steps = torch.stack(self._losses).tolist(), self._steps
        self._losses, self._steps = [], []
        return [(loss, *of) for loss, of in zip(losses, steps, strict=True)]
