"""The sections that name a component and take the component's own options as further keys."""

from typing import Literal

from pydantic import Field

from rampart.schema.sections import Component


class ScheduleConfig(Component):
    """The schedule over eps, and whether eps changes at every step or every epoch."""

    name: str = Field("adaptive", description="the schedule; `rampart preview` draws each")
    interval: Literal["step", "epoch"] = Field(
        "step",
        description="update eps at every optimizer step; `epoch` updates it between epochs only, "
        "as in the publication",
    )


class ObjectiveConfig(Component):
    """The objective that training minimizes."""

    name: str = Field("adversarial", description="the objective")


class AttackConfig(Component):
    """The attack that perturbs images; its norm and eps come from `threat` and `schedule`."""

    name: str = Field(
        "apgd",
        description="the attack; without `attack.steps`, `apgd` and `pgd` take 3 steps in training",
    )


class StrategyConfig(Component):
    """Which weights are trained, and when."""


class CallbackConfig(Component):
    """A callback, which acts before and after each training step."""
