"""AWP: the gradient of a step is computed at adversarially perturbed weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rampart.deferred import torch
from rampart.errors import InvalidArgument
from rampart.restoring import restored, restored_buffers
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.training.callbacks.base import CALLBACKS, Callback, Gradients, Hook

if TYPE_CHECKING:
    from torch import Tensor, nn


@CALLBACKS.register("awp")
@dataclass(frozen=True)
class Awp(Callback):
    """Adversarial weight perturbation, Wu, Xia and Wang 2020 (arXiv 2004.05884, eq. 8 to 10).

    The gradient is computed at w + v, with v_l = gamma ‖w_l‖ g_l / ‖g_l‖ in every layer l. Here g
    is the gradient of the same batch at the same perturbed images, and a layer is a parameter named
    weight with more than one dimension, as in the published code. AWP costs one more forward and
    backward pass while eps is above 0; at eps = 0 nothing is perturbed. v follows the gradient of
    the whole batch, so micro-batches and processes change nothing.

    Attributes:
        gamma: size of v relative to the weights of a layer. The paper trains from scratch with
            5e-3; short fine-tuning of a deep network then ends at chance (docs/studies/parts.md).
    """

    gamma: float = 5e-4

    needs_attack: ClassVar[bool] = True
    repeats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.gamma < 1:
            raise InvalidArgument("gamma", self.gamma, "a number in (0, 1)")

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a run without an attack, which AWP would not change.

        Raises:
            InvalidArgument: eps is 0 at every step.
        """
        steps = range(scheduler.horizon.steps)
        moves = scheduler.follows or any(scheduler.alpha_at(step) > 0 for step in steps)
        if scheduler.eps_g == 0 or not moves:
            raise InvalidArgument(
                "callbacks",
                "awp",
                "a run with an attack, because the weights are perturbed only if images are",
                "leave out awp, or set threat.eps and a schedule that reaches it",
            )

    def begin(self, model: nn.Module) -> Hook:
        """Return the hook, which has no state."""
        return _Around(self.gamma)


class _Around(Hook):
    def __init__(self, gamma: float) -> None:
        self._gamma = gamma

    def around(self, model: nn.Module, gradients: Gradients, eps: float) -> None:
        """Leave the gradient at the perturbed weights."""
        if eps == 0:
            gradients()
            return
        # The first pass only gives the direction; running statistics must not change.
        with restored_buffers(model):
            gradients()
        with perturbed_weights(model, self._gamma):
            gradients()


@contextmanager
def perturbed_weights(model: nn.Module, gamma: float) -> Iterator[None]:
    """Move the weights along their gradient inside the block, where the loss is higher.

    The gradient is cleared. After the block the weights are restored bit for bit. In your own
    loop:

        loss(model, images).backward()
        with perturbed_weights(model, 0.005):
            loss(model, images).backward()
        optimizer.step()

    Args:
        model: its parameters have a gradient.
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
    """Return gamma ‖w‖ g / ‖g‖; 0 if the gradient is 0 or has overflowed in fp16."""
    norm = gradient.norm()
    usable = norm.isfinite() & (norm > 0)
    scale = torch.where(usable, gamma * weight.norm() / norm, 0)
    return torch.where(usable, gradient, 0) * scale
