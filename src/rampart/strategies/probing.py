"""Training the head alone, for the whole run or before the backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.errors import InvalidArgument
from rampart.models.weights import parameter_groups
from rampart.schedules.scheduler import EpsilonScheduler
from rampart.strategies.base import (
    STRATEGIES,
    Strategy,
    keep_head_gradients,
    train_head_only,
)

if TYPE_CHECKING:
    from rampart.models.normalized import NormalizedModel


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
        train_head_only(model)


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
        _refuse_pilot(scheduler, "lp-ft", "a pilot begins at full strength")
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
            train_head_only(model)

    def drop_gradients(self, model: NormalizedModel, alpha: float) -> None:
        """Keep only the gradients of the head while eps is 0."""
        if alpha == 0:
            keep_head_gradients(model)


@STRATEGIES.register("roli")
@dataclass(frozen=True)
class AdversarialHeadFirst(Strategy):
    """RoLI, Hua et al. 2024 (arXiv 2312.05716): adversarial linear probing, then fine-tuning.

    In the first epochs the backbone is frozen in eval mode, and the head is trained at full
    strength. The schedule then begins, and extends over the other epochs: with schedule=fix they
    are adversarial fine-tuning at full strength, as published. The probe costs as many passes as
    other epochs at full strength.

    It needs a robust backbone: from another one the head learns nothing under the attack. `rampart
    linear-probe` measures what a backbone withstands. Otherwise use `lp-ft`, whose head is trained
    without an attack.

    Attributes:
        probe: fraction of the run, rounded to whole epochs; in the published code both phases have
            the same number of epochs.
    """

    probe: float = 0.5

    backbone = "part"

    def __post_init__(self) -> None:
        if not 0 < self.probe < 1:
            raise InvalidArgument("probe", self.probe, "a fraction of the run in (0, 1)")

    def probe_epochs(self, epochs: int) -> int:
        """Return `probe` of the epochs, at least one, which leaves at least one of two or more."""
        return max(1, min(round(self.probe * epochs), epochs - 1))

    def check(self, scheduler: EpsilonScheduler) -> None:
        """Refuse a schedule with a pilot, and a run without an attack.

        Raises:
            InvalidArgument: the schedule has a pilot, or eps_g is 0.
        """
        _refuse_pilot(scheduler, "roli", "the head is trained before it")
        if scheduler.eps_g == 0:
            raise InvalidArgument(
                "strategies",
                "roli",
                "a threat.eps above 0, at which the head is trained first",
                "write strategies=[linear-probe] to train only the head",
            )


def _refuse_pilot(scheduler: EpsilonScheduler, name: str, reason: str) -> None:
    if scheduler.schedule.pilot > 0:
        raise InvalidArgument(
            "schedule.pilot",
            scheduler.schedule.pilot,
            f"0 with strategies=[{name}], because {reason}",
            "write schedule.pilot=0",
        )
