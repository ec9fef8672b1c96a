"""A model that counts what goes through it: rows, calls and seconds, forward and backward.

Both sides of a comparison get the model in this wrapper, so that rows that only fill a batch count
like all others, whichever library sends them.
"""

import time
from typing import Any

import torch
from torch import Tensor, nn


class Counted(nn.Module):
    """Counts the rows and calls of a model, and the time that they take.

    Attributes:
        forward_rows, backward_rows: rows whose logits were computed, or received a gradient.
        calls: number of forward passes, of any number of rows.
        seconds: of the processor, for both, inside the model.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.eval()
        self.forward_rows = self.backward_rows = self.calls = 0
        self.seconds = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the model."""
        start = time.process_time()
        self.forward_rows += len(images)
        self.calls += 1
        asked = images.requires_grad and torch.is_grad_enabled()
        logits: Any = _Node.apply(self, images) if asked else self.module(images)
        self.seconds += time.process_time() - start
        return logits

    def figures(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {
            "rows": self.forward_rows + self.backward_rows,
            "forward_rows": self.forward_rows,
            "backward_rows": self.backward_rows,
            "calls": self.calls,
            "model_seconds": self.seconds,
        }


class _Node(torch.autograd.Function):
    """The model as one node of the graph, to count and time its backward pass."""

    @staticmethod
    def forward(ctx: Any, counted: Counted, images: Tensor) -> Tensor:
        with torch.enable_grad():
            ctx.images = images.detach().requires_grad_()
            ctx.logits = counted.module(ctx.images)
        ctx.counted = counted
        return ctx.logits.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        start = time.process_time()
        ctx.counted.backward_rows += len(gradients[0])
        # FAB of other libraries takes a gradient of every logit from one forward pass.
        (gradient,) = torch.autograd.grad(ctx.logits, ctx.images, gradients[0], retain_graph=True)
        ctx.counted.seconds += time.process_time() - start
        return None, gradient
