"""Training the head alone, for the whole run or before the backbone."""

from dataclasses import dataclass
from typing import Any

from rampart.errors import InvalidArgument
from rampart.models.normalized import NormalizedModel
from rampart.models.weights import parameter_groups
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.strategies.base import STRATEGIES, Strategy


@STRATEGIES.register("full")
@dataclass(frozen=True)
class Full(Strategy):
    """Every weight is trained from the first step, as in a run without a strategy."""

    backbone = "whole"


@STRATEGIES.register("linear-probe")
@dataclass(frozen=True)
class LinearProbe(Strategy):
    """Only the head is trained; the backbone is frozen in eval mode with its running statistics."""

    backbone = "frozen"

    def prepare(self, model: NormalizedModel, seed: int) -> None:
        """Freeze the backbone."""
        backbone, _ = parameter_groups(model)
        for _, parameter in backbone:
            parameter.requires_grad_(False)

    def set_mode(self, model: NormalizedModel, alpha: float) -> None:
        """Put all except the head into eval mode."""
        _train_head_only(model)


@STRATEGIES.register("lp-ft")
@dataclass(frozen=True)
class HeadFirst(Strategy):
    """Linear probing, then fine-tuning: the backbone is frozen while eps is 0.

    Kumar et al. 2022 (arXiv 2202.10054): fine-tuning with a random head distorts the backbone
    before the head has learned anything. The first phase, without an attack, is that of the
    schedule: up to T1 of two-hinge, or as long as an adaptive schedule waits. A pilot has no such
    phase, so it must be switched off.
    """

    backbone = "part"
    needs_clean_phase = True

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a schedule without a phase at eps = 0, or without any other phase.

        Raises:
            InvalidArgument: the schedule has a pilot, never has eps = 0, or never leaves it.
        """
        if scheduler.schedule.pilot > 0:
            raise InvalidArgument(
                "schedule.pilot",
                scheduler.schedule.pilot,
                "0 with strategies=[lp-ft], because a pilot begins at full strength",
                "write schedule.pilot=0",
            )
        last = scheduler.horizon.steps - 1
        if scheduler.follows:
            waits = getattr(scheduler.schedule, "start", 1) * scheduler.horizon.steps >= 1
        else:
            waits = scheduler.alpha_at(min(1, last)) == 0
        if not waits:
            raise InvalidArgument(
                "strategies",
                "lp-ft",
                "a schedule with a phase at eps = 0, in which only the head is trained",
                "write schedule=two-hinge or schedule=adaptive, with schedule.start above 0",
            )
        if not scheduler.follows and scheduler.alpha_at(last) == 0:
            raise InvalidArgument(
                "strategies",
                "lp-ft",
                "a schedule that leaves eps = 0, because the backbone is frozen until then",
                "write strategies=[linear-probe] to train only the head",
            )

    def set_mode(self, model: NormalizedModel, alpha: float) -> None:
        """Put all except the head into eval mode while eps is 0."""
        if alpha == 0:
            _train_head_only(model)

    def drop_gradients(self, model: NormalizedModel, alpha: float) -> None:
        """Keep only the gradients of the head while eps is 0.

        `requires_grad` must not change within a run that is distributed or compiled, so the
        gradients are computed and removed.
        """
        if alpha == 0:
            for _, parameter in parameter_groups(model)[0]:
                parameter.grad = None


def _train_head_only(model: NormalizedModel) -> None:
    head: Any = model.backbone.get_classifier()  # type: ignore[operator]  # timm's interface
    model.eval()
    # The run reads the flag of the whole model, which must say train mode.
    model.training = True
    for part in head if isinstance(head, tuple | list) else [head]:
        part.train()
