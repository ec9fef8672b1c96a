"""Preview: the strengths of a run without training."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.schedules.base import Schedule
from rampart.schedules.scheduler import EpsilonScheduler, UpdateInterval
from rampart.units import Horizon, Norm


class PreviewRow(NamedTuple):
    """The strength from a position on: `epoch` counts from 0, eps = alpha · eps_g."""

    epoch: float
    alpha: float
    eps: float


#: The assumption of `assumed_accuracy` in words.
ASSUMED = (
    "assumed accuracy: 0.9 (1 - exp(-e / 4.8)) after e epochs, 90 % of its final value at epoch 11"
)


def assumed_accuracy(epochs: int) -> list[float]:
    """Return a validation accuracy for a preview after each epoch e: 0.9 (1 - exp(-e / 4.8)).

    It reaches 90 % of its final value at epoch 11, as standard fine-tuning does in the hardest
    case of the publication (arXiv 2509.23325, Swin on Aircraft).
    """
    return [0.9 * (1 - math.exp(-epoch / 4.8)) for epoch in range(1, epochs + 1)]


def preview(
    schedule: Schedule,
    eps_g: str | float,
    horizon: Horizon,
    interval: UpdateInterval = "step",
    *,
    accuracy: Sequence[float] | None = None,
    norm: Norm = "linf",
    probe: int = 0,
) -> list[PreviewRow]:
    """Return the strengths of a run without training, one row per change.

    Args:
        schedule: the schedule to preview.
        eps_g: the target strength, a fraction of the pixel range such as 4/255.
        horizon: the length of the run.
        interval: "step" gives one row per optimizer step, "epoch" one per epoch.
        accuracy: accuracy after each epoch, for a schedule that follows it (on the batches it is
            assumed to rise in straight lines from 0); by default `assumed_accuracy`.
        norm: the norm whose range applies to `eps_g`.
        probe: epochs at full strength before the schedule.

    Raises:
        InvalidArgument: as `EpsilonScheduler`, and for fewer accuracies than epochs.
    """
    curve = assumed_accuracy(horizon.epochs) if accuracy is None else accuracy
    if len(curve) < horizon.epochs:
        expected = f"one for each of the {counted(horizon.epochs, 'epoch')}"
        raise InvalidArgument("accuracy", counted(len(curve), "value"), expected)
    scheduler = EpsilonScheduler(
        schedule, eps_g, horizon, interval, norm=norm, chance=0.0, probe=probe
    )
    rows = []
    for epoch in range(horizon.epochs):
        for step in range(horizon.steps_per_epoch):
            if step == 0 or interval == "step":
                alpha = scheduler.alpha
                rows.append(PreviewRow(scheduler.position, alpha, alpha * scheduler.eps_g))
            before, done = curve[epoch - 1] if epoch else 0.0, (step + 1) / horizon.steps_per_epoch
            scheduler.step(before + (curve[epoch] - before) * done)
        scheduler.observe(curve[epoch])
    return rows
