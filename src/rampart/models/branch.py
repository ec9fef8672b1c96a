"""A low-rank branch beside the layers of a network, which a forward pass takes or leaves."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from rampart.restoring import fixed


class Branch(nn.Module):
    """The switch of a low-rank branch, and the clean accuracy of the network with it.

    The branch is left except inside `taken`. Buffers hold the accuracy, so a checkpoint does too.

    Args:
        layers: peft's layers with an adapter each.
        backbone: its weights, without the branch.
        head: the weights of the head.
        classes: number of classes.

    Attributes:
        accuracy: (), of the last period; 1 / classes before the end of the first.
        right: (), correct predictions of the current period.
        seen: (), images of the current period.
    """

    accuracy: Tensor
    right: Tensor
    seen: Tensor

    def __init__(
        self,
        layers: Iterable[Any],
        backbone: Iterable[nn.Parameter],
        head: Iterable[nn.Parameter],
        classes: int,
    ) -> None:
        super().__init__()
        # Tuples, so that the parameters are not registered a second time.
        self._layers, self._backbone, self._head = tuple(layers), tuple(backbone), tuple(head)
        self.register_buffer("accuracy", torch.tensor(1 / classes))
        self.register_buffer("right", torch.tensor(0))
        self.register_buffer("seen", torch.tensor(0))

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take the branch inside the block; gradients reach only the branch and the head."""
        with fixed(self._backbone):
            try:
                self._switch(on=True)
                yield
            finally:
                self._switch(on=False)

    @contextmanager
    def left(self, *, with_head: bool) -> Iterator[None]:
        """Leave the branch inside the block; gradients reach the backbone, and perhaps the head."""
        with fixed(self._adapters() if with_head else (*self._adapters(), *self._head)):
            yield

    def count(self, correct: Tensor) -> None:
        """Count predictions of the network with the branch; correct: (N,) bool."""
        self.right += correct.sum()
        self.seen += len(correct)

    def end_period(self) -> None:
        """Measure the accuracy anew from the predictions of the period, if there are any."""
        found = self.right / self.seen.clamp(min=1)
        self.accuracy.copy_(torch.where(self.seen > 0, found, self.accuracy))
        self.right.zero_()
        self.seen.zero_()

    def _adapters(self) -> list[nn.Parameter]:
        factors = [one for layer in self._layers for one in (layer.lora_A, layer.lora_B)]
        return [parameter for factor in factors for parameter in factor.parameters()]

    def _switch(self, *, on: bool) -> None:
        for layer in self._layers:
            # peft's own switch would also change which weights are trained.
            layer._disable_adapters = not on
