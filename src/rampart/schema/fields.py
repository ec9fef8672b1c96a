"""The fields of a run's configuration, section by section.

A section that names a component (`schedule`, `objective`, `attack`) takes the component's own
fields as further keys. On the command line `schedule=fix` is short for `schedule.name=fix`. Another
name drops the keys that describe what was named before; `recipes.config.exchange` says which.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from rampart.schema.components import (
    AttackConfig,
    CallbackConfig,
    ObjectiveConfig,
    ScheduleConfig,
    StrategyConfig,
)
from rampart.schema.learning import OptimizerConfig, TrainingConfig
from rampart.schema.measuring import EvaluationConfig
from rampart.schema.model_and_data import DataConfig, ModelConfig
from rampart.schema.sections import AffectsTraining, Eps, Section, as_list
from rampart.strengths import require_own_eps
from rampart.units import Norm, parse_eps, parse_norm


class ThreatConfig(Section):
    """The adversary to become robust against: norm and target strength eps_g."""

    norm: AffectsTraining[Norm] = Field(
        "linf", description="how the size of a change is measured, over all pixels of an image"
    )
    eps: AffectsTraining[Eps] = Field(
        4 / 255,
        description="target strength eps_g; the norms besides Linf have no default, because their "
        "usual strengths depend on the size of the images",
    )

    @model_validator(mode="before")
    @classmethod
    def _own_eps_in_range(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        norm = parse_norm(str(value.get("norm", "linf")))
        eps = require_own_eps(value.get("eps"), norm, "4/255")
        parse_eps(eps, norm)
        return {**value, "eps": eps}


class RunFields(Section):
    """Everything that determines a run."""

    seed: AffectsTraining[int] = Field(
        0,
        ge=0,
        description="draws the fresh head, the order of the images, augmentation and attacks",
    )
    model: ModelConfig
    data: DataConfig
    threat: ThreatConfig = ThreatConfig()
    schedule: AffectsTraining[ScheduleConfig] = ScheduleConfig()
    objective: AffectsTraining[ObjectiveConfig] = ObjectiveConfig()
    attack: AffectsTraining[AttackConfig] = AttackConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    strategies: AffectsTraining[Annotated[tuple[StrategyConfig, ...], BeforeValidator(as_list)]] = (
        Field((), description="which weights are trained; by default all, from the first step")
    )
    callbacks: AffectsTraining[Annotated[tuple[CallbackConfig, ...], BeforeValidator(as_list)]] = (
        Field((), description="what acts before and after each training step")
    )
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
