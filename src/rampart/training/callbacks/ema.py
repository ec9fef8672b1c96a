"""An exponential moving average of the weights that does not lag behind the ramp."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.deferred import torch
from rampart.errors import InvalidArgument
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.training.callbacks.base import CALLBACKS, Callback, Hook

if TYPE_CHECKING:
    from torch import Tensor, nn


@CALLBACKS.register("ema")
@dataclass(frozen=True)
class Ema(Callback):
    """Validate and save θ̄ instead of θ: θ̄ ← d θ̄ + (1 − d) θ after every step.

    d = min(decay, n / (n + 9)), where n counts the steps since eps last changed. While eps changes,
    the average equals the weights, so weights of smaller strengths never enter it. Afterwards
    d = (1 + m) / (10 + m) for m = n − 1, which is the usual warm-up (idea: Polyak and Juditsky
    1992; warm-up: TensorFlow's ExponentialMovingAverage). Running statistics are averaged too. If
    eps changes only between epochs, the average restarts in each epoch. It needs memory for one
    more copy of the model.

    Attributes:
        decay: its largest value, in (0, 1).
    """

    decay: float = 0.99

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1:
            raise InvalidArgument("decay", self.decay, "a number in (0, 1)")

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a schedule whose eps changes until the end, which leaves nothing to average.

        Raises:
            InvalidArgument: the last two steps may have different strengths.
        """
        if _settles(scheduler):
            return
        raise InvalidArgument(
            "callbacks",
            "ema",
            "a schedule whose eps is constant at the end, because the average starts there",
            "use schedule=two-hinge, linear-warmup or adaptive, or leave out ema",
        )

    def begin(self, model: nn.Module) -> Hook:
        """Return the hook; its average starts at the weights of the model."""
        return ExponentialAverage(model, self.decay)


class ExponentialAverage(Hook):
    """The average of one run.

    Args:
        model: its weights are the first average.
        decay: its largest value, in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._alpha: float | None = None
        self._count = 0
        self._average = {name: t.detach().clone() for name, t in _list_tensors(model).items()}

    def stepped(self, model: nn.Module, alpha: float) -> None:
        """Add the new weights to the average."""
        self._count = self._count + 1 if alpha == self._alpha else 0
        self._alpha = alpha
        decay = min(self._decay, self._count / (self._count + 9))
        with torch.no_grad():
            for name, value in _list_tensors(model).items():
                if value.is_floating_point():
                    self._average[name].lerp_(value, 1 - decay)
                else:
                    self._average[name].copy_(value)

    @contextmanager
    def measured(self, model: nn.Module) -> Iterator[None]:
        """Put the average into the model; restore its own weights after the block."""
        own = {name: value.detach().clone() for name, value in _list_tensors(model).items()}
        _fill(model, self._average)
        try:
            yield
        finally:
            _fill(model, own)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the average and the number of steps since eps last changed."""
        alpha = torch.tensor(-1.0 if self._alpha is None else self._alpha, dtype=torch.float64)
        return {"alpha": alpha, "count": torch.tensor(self._count)} | {
            f"average.{name}": value for name, value in self._average.items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        alpha = float(state["alpha"])
        self._alpha, self._count = None if alpha < 0 else alpha, int(state["count"])
        for name, value in self._average.items():
            value.copy_(state[f"average.{name}"])


def _list_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return what a step changes: trained parameters and buffers."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return {**trained, **dict(model.named_buffers())}


def _fill(model: nn.Module, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in _list_tensors(model).items():
            tensor.copy_(values[name])


def _settles(scheduler: EpsilonScheduler) -> bool:
    """Whether the last two steps certainly have the same strength."""
    schedule, steps = scheduler.schedule, scheduler.horizon.steps
    if schedule.needs_accuracy:
        return schedule.arrival is not None and schedule.arrival < 1 - 2 / steps
    if schedule.needs_validation:
        return False
    return scheduler.alpha_at(max(0, steps - 2)) == scheduler.alpha_at(steps - 1)
