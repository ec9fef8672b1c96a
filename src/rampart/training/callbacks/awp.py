"""AWP: the gradient of a step is taken where the weights are worst."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from rampart.errors import InvalidArgument
from rampart.restoring import restored
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.training.callbacks.base import CALLBACKS, Callback, Gradients, Hook


@CALLBACKS.register("awp")
@dataclass(frozen=True)
class Awp(Callback):
    """Adversarial weight perturbation, Wu, Xia and Wang 2020 (arXiv 2004.05884, eq. 8 to 10).

    The gradient is taken at w + v, with v_l = gamma ‖w_l‖ g_l / ‖g_l‖ for the gradient g of the
    same batch and the same perturbed images, in every layer l: a parameter named weight that has
    more than one dimension, as in the published code. It costs one more forward and backward pass
    where eps is above 0; at eps = 0 nothing is perturbed. Batches in micro-batches and several
    processes come to the same: v follows the gradient of the whole batch.

    Attributes:
        gamma: size of v relative to the weights of a layer. The paper, which trains from scratch,
            has 5e-3, with which short fine-tuning of a deep network ends at chance
            (docs/studies/parts.md).
    """

    gamma: float = 5e-4

    needs_attack: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.gamma < 1:
            raise InvalidArgument("gamma", self.gamma, "a number in (0, 1)")

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a run without an attack, in which it would do nothing.

        Raises:
            InvalidArgument: as said.
        """
        steps = range(scheduler.horizon.steps)
        moves = scheduler.follows or any(scheduler.alpha_at(step) > 0 for step in steps)
        if scheduler.eps_g == 0 or not moves:
            raise InvalidArgument(
                "callbacks",
                "awp",
                "a run that attacks, for the weights are perturbed only where images are",
                "leave out awp, or set threat.eps and a schedule that reaches it",
            )

    def begin(self, model: nn.Module) -> Hook:
        """Return the hook; it remembers nothing."""
        return _Around(self.gamma)


class _Around(Hook):
    def __init__(self, gamma: float) -> None:
        self._gamma = gamma

    def around(self, model: nn.Module, gradients: Gradients, eps: float) -> None:
        """Leave the gradient at the perturbed weights."""
        if eps == 0:
            gradients()
            return
        # The first pass only asks for a direction, and leaves no trace in running statistics.
        with restored(model.buffers()):
            gradients()
        with perturbed_weights(model, self._gamma):
            gradients()


@contextmanager
def perturbed_weights(model: nn.Module, gamma: float) -> Iterator[None]:
    """Move the weights against themselves inside the block, along the gradient that they have.

    The gradient is cleared; the weights are, bit for bit, as they were after the block. For a
    loop of your own:

        loss(model, images).backward()
        with perturbed_weights(model, 0.005):
            loss(model, images).backward()
        optimizer.step()

    Args:
        model: whose parameters have a gradient.
        gamma: see `Awp`.
    """
    named = [(name.split(".")[-1], parameter) for name, parameter in model.named_parameters()]
    moved = [p for name, p in named if "weight" in name and p.grad is not None and p.ndim > 1]
    with restored(moved):
        with torch.no_grad():
            for parameter in moved:
                assert parameter.grad is not None
                parameter.add_(worst(parameter, parameter.grad, gamma))
        model.zero_grad(set_to_none=True)
        yield


def worst(weight: Tensor, gradient: Tensor, gamma: float) -> Tensor:
    """Return gamma ‖w‖ g / ‖g‖; 0 where the gradient is 0 or, under fp16, has overflowed."""
    norm = gradient.norm()
    usable = norm.isfinite() & (norm > 0)
    scale = torch.where(usable, gamma * weight.norm() / norm, 0)
    return torch.where(usable, gradient, 0) * scale
