"""The head alone, for the whole run or before the backbone."""

from dataclasses import dataclass
from typing import Any

from rampart.errors import InvalidArgument
from rampart.models.backbones import parameter_groups
from rampart.models.normalized import NormalizedModel
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.strategies.base import STRATEGIES, Strategy


@STRATEGIES.register("full")
@dataclass(frozen=True)
class Full(Strategy):
    """Every weight is trained from the first step; what a run does without any strategy."""

    backbone = "whole"


@STRATEGIES.register("linear-probe")
@dataclass(frozen=True)
class LinearProbe(Strategy):
    """The head alone is trained; the backbone stays in eval mode, with its running statistics."""

    backbone = "frozen"

    def prepare(self, model: NormalizedModel, seed: int) -> None:
        """Freeze the backbone."""
        backbone, _ = parameter_groups(model)
        for _, parameter in backbone:
            parameter.requires_grad_(False)

    def set_mode(self, model: NormalizedModel, alpha: float) -> None:
        """Have everything in eval mode but the head."""
        _train_head_only(model)


@STRATEGIES.register("lp-ft")
@dataclass(frozen=True)
class HeadFirst(Strategy):
    """Linear probing, then fine-tuning: the backbone stands still while eps is 0.

    Kumar et al. 2022 (arXiv 2202.10054): a backbone that is fine-tuned with a random head is
    distorted before the head has learned anything. The first phase is that of the schedule (T1 of
    two-hinge, the time for which an adaptive schedule waits), and is trained without an attack. A
    pilot at full strength has no such phase, so there must be none.
    """

    backbone = "part"
    needs_clean_phase = True

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a schedule that has no such phase, or nothing else.

        Raises:
            InvalidArgument: as said.
        """
        if scheduler.schedule.pilot > 0:
            raise InvalidArgument(
                "schedule.pilot",
                scheduler.schedule.pilot,
                "0 with strategies=[lp-ft], for a pilot begins at full strength",
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
                "a schedule with a time at eps = 0, in which the head is trained alone",
                "write schedule=two-hinge or schedule=adaptive, with schedule.start above 0",
            )
        if not scheduler.follows and scheduler.alpha_at(last) == 0:
            raise InvalidArgument(
                "strategies",
                "lp-ft",
                "a schedule that leaves eps = 0, for the backbone stands still until then",
                "write strategies=[linear-probe] for the head alone",
            )

    def set_mode(self, model: NormalizedModel, alpha: float) -> None:
        """Have everything in eval mode but the head, while eps is 0."""
        if alpha == 0:
            _train_head_only(model)

    def drop_gradients(self, model: NormalizedModel, alpha: float) -> None:
        """Keep those of the head only, while eps is 0.

        They are removed and not avoided: what a parameter asks for must not change within a run
        that is distributed or compiled.
        """
        if alpha == 0:
            for _, parameter in parameter_groups(model)[0]:
                parameter.grad = None


def _train_head_only(model: NormalizedModel) -> None:
    head: Any = model.backbone.get_classifier()  # type: ignore[operator]  # timm's interface
    model.eval()
    # The flag of the whole belongs to the run, which asks it whether the model is in training.
    model.training = True
    for part in head if isinstance(head, tuple | list) else [head]:
        part.train()
