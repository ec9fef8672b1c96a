"""An exponential moving average of the weights that does not lag behind the ramp."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rampart.errors import InvalidArgument
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.training.callbacks.base import CALLBACKS, Callback, Hook


@CALLBACKS.register("ema")
@dataclass(frozen=True)
class Ema(Callback):
    """Validate and keep θ̄ instead of θ: θ̄ ← d θ̄ + (1 − d) θ after every step.

    d = min(decay, n / (n + 9)), where n counts the steps since eps last moved. So while eps moves
    the average is the weights themselves, and what was trained at smaller strengths never enters;
    afterwards d = (1 + m) / (10 + m) for m = n − 1 is the usual warm-up (Polyak and Juditsky 1992
    for the idea; the warm-up as in TensorFlow's ExponentialMovingAverage). Running statistics are
    averaged as well. Where eps moves between epochs only, the average begins anew in each of them.
    Takes the memory of one more copy of the model.

    Attributes:
        decay: its largest value, in (0, 1).
    """

    decay: float = 0.99

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1:
            raise InvalidArgument("decay", self.decay, "a number in (0, 1)")

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a schedule whose eps moves until the end: there is nothing to average.

        Raises:
            InvalidArgument: as said.
        """
        if _settles(scheduler):
            return
        raise InvalidArgument(
            "callbacks",
            "ema",
            "a schedule that holds eps at last, for the average begins when eps stands still",
            "take two-hinge, linear-warmup or adaptive, which hold it, or leave out ema",
        )

    def begin(self, model: nn.Module) -> Hook:
        """Return the hook, whose average is the model as it is."""
        return ExponentialAverage(model, self.decay)


class ExponentialAverage(Hook):
    """The average of one run.

    Args:
        model: where it starts.
        decay: its largest value, in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._alpha: float | None = None
        self._count = 0
        self._average = {name: t.detach().clone() for name, t in _list_tensors(model).items()}

    @torch.no_grad()
    def stepped(self, model: nn.Module, alpha: float) -> None:
        """Take the new weights into the average."""
        self._count = self._count + 1 if alpha == self._alpha else 0
        self._alpha = alpha
        decay = min(self._decay, self._count / (self._count + 9))
        for name, value in _list_tensors(model).items():
            if value.is_floating_point():
                self._average[name].lerp_(value, 1 - decay)
            else:
                self._average[name].copy_(value)

    @contextmanager
    def measured(self, model: nn.Module) -> Iterator[None]:
        """Have the average in the model; its own weights again after the block."""
        own = {name: value.detach().clone() for name, value in _list_tensors(model).items()}
        _fill(model, self._average)
        try:
            yield
        finally:
            _fill(model, own)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the average and how long eps has stood still."""
        alpha = torch.tensor(-1.0 if self._alpha is None else self._alpha, dtype=torch.float64)
        return {"alpha": alpha, "count": torch.tensor(self._count)} | {
            f"average.{name}": value for name, value in self._average.items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put back what `state_dict` returned."""
        alpha = float(state["alpha"])
        self._alpha, self._count = None if alpha < 0 else alpha, int(state["count"])
        for name, value in self._average.items():
            value.copy_(state[f"average.{name}"])


def _list_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What a step changes: trained parameters, and buffers."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return {**trained, **dict(model.named_buffers())}


@torch.no_grad()
def _fill(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, tensor in _list_tensors(model).items():
        tensor.copy_(values[name])


def _settles(scheduler: EpsilonScheduler) -> bool:
    """Whether the last two steps are sure to have the same strength."""
    schedule, steps = scheduler.schedule, scheduler.horizon.steps
    if schedule.needs_accuracy:
        return schedule.arrival is not None and schedule.arrival < 1 - 2 / steps
    if schedule.needs_validation:
        return False
    return scheduler.alpha_at(max(0, steps - 2)) == scheduler.alpha_at(steps - 1)
