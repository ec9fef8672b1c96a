"""The fields of a run's configuration, section by section.

A section that names a component (`schedule`, `objective`, `attack`) takes the component's own
fields as further keys; `schedule=fix` on the command line replaces the whole section, while
`schedule.end=0.5` changes one key of it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rampart.choices import EvaluationMode, Match, Target
from rampart.schema.sections import (
    AffectsEvaluation,
    AffectsNothing,
    AffectsTraining,
    Component,
    Eps,
    Fraction,
    Named,
    Section,
    as_list,
)
from rampart.units import Norm, parse_eps, parse_norm


class ModelConfig(Named):
    """The pretrained backbone.

    `name` is a timm name, `hf-hub:...`, `local-dir:...`, or a weights file with its `.json` beside
    it; `weights` puts a local file onto a named architecture.
    """

    name: AffectsTraining[str]
    pretrained: AffectsTraining[bool] = True
    weights: AffectsTraining[str | None] = None
    options: AffectsTraining[dict[str, Any]] = Field(default_factory=dict)
    mean: AffectsTraining[tuple[float, ...] | None] = None
    std: AffectsTraining[tuple[float, ...] | None] = None
    head: AffectsTraining[Literal["fresh", "pretrained"]] = Field(
        "fresh", description="pretrained: train on with the head that the weights have"
    )
    batch_norm: AffectsTraining[Literal["train", "frozen"]] = Field(
        "train", description="frozen: BatchNorm keeps the statistics that it was pretrained with"
    )


class AugmentConfig(Section):
    """Augmentations of the publication: flip, color jitter, rotation in degrees."""

    flip: AffectsTraining[float] = Field(0.5, ge=0, le=1)
    jitter: AffectsTraining[float] = Field(0.25, ge=0, lt=1)
    rotation: AffectsTraining[float] = Field(15.0, ge=0, le=180)


class DataConfig(Named):
    """The images: a folder, a .tar, `digit-pairs`, or a public dataset such as `torch/cifar10`.

    `seed` draws the splits that the data do not come with; runs that are compared share it.
    """

    name: AffectsTraining[str]
    root: AffectsNothing[str] = ""
    options: AffectsTraining[dict[str, Any]] = Field(default_factory=dict)
    seed: AffectsTraining[int] = Field(0, ge=0)
    image_size: AffectsTraining[int | None] = Field(
        None, ge=8, description="by default the model's own"
    )
    validation_fraction: AffectsTraining[float] = 0.1
    test_fraction: AffectsTraining[float] = 0.2
    workers: AffectsNothing[int] = Field(0, ge=0)
    cache: AffectsNothing[bool | Literal["auto"]] = "auto"
    augment: AugmentConfig = AugmentConfig()


class ThreatConfig(Section):
    """The adversary to become robust against: norm and target strength eps_g."""

    norm: AffectsTraining[Norm] = "linf"
    eps: AffectsTraining[Eps] = 4 / 255

    @model_validator(mode="before")
    @classmethod
    def _in_range(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            norm = parse_norm(str(value.get("norm", "linf")))
            parse_eps(value.get("eps", 0), norm)
        return value


class ScheduleConfig(Component):
    """The schedule over eps, and whether it moves at every step or once an epoch."""

    name: str = "adaptive"
    interval: Literal["step", "epoch"] = "step"


class ObjectiveConfig(Component):
    """What is minimized."""

    name: str = "adversarial"


class AttackConfig(Component):
    """How training examples are perturbed; norm and eps come from `threat` and `schedule`."""

    name: str = "apgd"


class StrategyConfig(Component):
    """Which weights are trained, and when."""


class CallbackConfig(Component):
    """What acts around the steps."""


class OptimizerConfig(Section):
    """AdamW with separate rates for backbone and head, cosine with a linear warm-up."""

    backbone_lr: AffectsTraining[float] = Field(1e-4, ge=0)
    head_lr: AffectsTraining[float] = Field(4e-3, ge=0)
    backbone_weight_decay: AffectsTraining[float] = Field(0.01, ge=0)
    head_weight_decay: AffectsTraining[float] = Field(0.01, ge=0)
    warmup: AffectsTraining[float] = Field(0.1, ge=0, lt=1, description="fraction of the run")
    clip_norm: AffectsTraining[float | None] = Field(None, gt=0)


class TrainingConfig(Section):
    """Length of the run and how it is carried out."""

    epochs: AffectsTraining[int] = Field(50, ge=1)
    batch_size: AffectsTraining[int] = Field(
        32, ge=1, description="over all processes and micro-batches"
    )
    gradient_accumulation_steps: AffectsTraining[int] = Field(
        1, ge=1, description="micro-batches that a batch is computed in"
    )
    precision: AffectsTraining[Literal["fp32", "bf16", "fp16"]] = "fp32"
    device: AffectsTraining[Literal["auto", "cpu"]] = "auto"
    channels_last: AffectsTraining[bool] = Field(
        False, description="memory layout in which many convolutions are faster"
    )
    linear_probe: AffectsTraining[bool] = Field(
        False, description="whether an adaptive schedule starts at what the backbone withstands"
    )
    attack_steps: AffectsTraining[Literal["constant", "proportional"]] = Field(
        "proportional",
        description="proportional: max(2, ceil(K alpha)) of K while eps is small",
    )
    checkpoint: AffectsTraining[Literal["last", "best"]] = "last"
    validation_strengths: AffectsTraining[int] = Field(
        4, ge=1, description="strengths in the validation curve that checkpoint=best is chosen on"
    )
    checkpoint_every: AffectsNothing[int] = Field(
        0, ge=0, description="steps; 0: at the end of each epoch only"
    )
    monitors: AffectsNothing[bool] = Field(
        True,
        description="warn of catastrophic overfitting, an exploding loss and suboptimal transfer",
    )
    trackers: AffectsNothing[tuple[str, ...]] = ()


class EvaluationConfig(Section):
    """How a model is measured: accuracy at every strength of a grid, by an attack or an attack
    suite.
    """

    attack: AffectsEvaluation[AttackConfig] = AttackConfig(name="apgd", steps=10)
    mode: AffectsEvaluation[EvaluationMode] = "fast"
    split: AffectsEvaluation[Literal["test", "validation"]] = "test"
    limit: AffectsEvaluation[int | None] = Field(
        None, ge=1, description="images drawn at random; all by default"
    )
    stratified: AffectsEvaluation[bool] = False
    ids: AffectsEvaluation[str | None] = Field(
        None, description="file with the names of the images to take"
    )
    strengths: AffectsEvaluation[tuple[Eps, ...]] = Field(
        (), description="above 0; by default whole gray levels"
    )
    resolution: AffectsEvaluation[int] = Field(
        1, ge=1, description="parts that each step of the grid is cut into"
    )
    top_k: AffectsEvaluation[int] = Field(
        1, ge=1, description="right if the label is among so many likeliest classes"
    )
    target: AffectsEvaluation[Target] = "none"
    match: AffectsEvaluation[Match] = "strict"
    rerun: AffectsNothing[int] = Field(
        0, ge=0, description="images attacked at each strength alone as well"
    )
    adversarial_examples: AffectsNothing[bool] = False
    checks: AffectsNothing[bool] = True
    batch_size: AffectsNothing[int] = Field(128, ge=1)
    confidence: AffectsNothing[Fraction] = 0.95


class RunFields(Section):
    """Everything that determines a run."""

    seed: AffectsTraining[int] = Field(0, ge=0)
    model: ModelConfig
    data: DataConfig
    threat: ThreatConfig = ThreatConfig()
    schedule: AffectsTraining[ScheduleConfig] = ScheduleConfig()
    objective: AffectsTraining[ObjectiveConfig] = ObjectiveConfig()
    attack: AffectsTraining[AttackConfig] = AttackConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    strategies: AffectsTraining[
        Annotated[tuple[StrategyConfig, ...], BeforeValidator(as_list)]
    ] = ()
    callbacks: AffectsTraining[Annotated[tuple[CallbackConfig, ...], BeforeValidator(as_list)]] = ()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
