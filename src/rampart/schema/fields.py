"""The fields of a run's configuration, section by section.

A section that names a component (`schedule`, `objective`, `attack`) takes the component's own
fields as further keys. On the command line `schedule=fix` is short for `schedule.name=fix`. Another
name drops the keys that describe what was named before; `recipes.config.exchange` says which.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rampart.choices import EvaluationMode, LrSchedule, Match, Resize, Target, Validation
from rampart.schema.sections import (
    AffectsEvaluation,
    AffectsNothing,
    AffectsTraining,
    Component,
    DescribesSource,
    Eps,
    Fraction,
    Named,
    Precision,
    Section,
    as_list,
)
from rampart.strengths import require_own_eps
from rampart.units import Norm, parse_eps, parse_norm


class ModelConfig(Named):
    """The pretrained backbone.

    `name` is a timm name, `hf-hub:...`, `local-dir:...`, or a weights file with its `.json` beside
    it. `weights` loads a local file into a named architecture.
    """

    name: AffectsTraining[str]
    pretrained: AffectsTraining[bool] = True
    weights: DescribesSource[AffectsTraining[str | None]] = None
    options: DescribesSource[AffectsTraining[dict[str, Any]]] = Field(default_factory=dict)
    mean: DescribesSource[AffectsTraining[tuple[float, ...] | None]] = None
    std: DescribesSource[AffectsTraining[tuple[float, ...] | None]] = None
    head: AffectsTraining[Literal["fresh", "pretrained"]] = Field(
        "fresh", description="pretrained: continue with the head that the weights contain"
    )
    batch_norm: AffectsTraining[Literal["train", "frozen"]] = Field(
        "train", description="frozen: BatchNorm uses its pretrained statistics in training too"
    )


class AugmentConfig(Section):
    """Augmentations of the publication: flip, color jitter, rotation in degrees."""

    flip: AffectsTraining[float] = Field(0.5, ge=0, le=1)
    jitter: AffectsTraining[float] = Field(0.25, ge=0, lt=1)
    rotation: AffectsTraining[float] = Field(15.0, ge=0, le=180)


class SplitNames(Section):
    """The names in the data of the splits; without any, usual names are recognized."""

    train: AffectsTraining[str | None] = None
    validation: AffectsTraining[str | None] = None
    test: AffectsTraining[str | None] = None


class DataConfig(Named):
    """The images: a folder, a .tar, a .csv or .parquet of paths and labels, an embedded task.

    Or a public dataset, such as `torch/cifar10`.

    `seed` draws the splits that the data do not define. Use the same one in runs to be compared.
    """

    name: AffectsTraining[str]
    root: DescribesSource[AffectsNothing[str]] = ""
    options: DescribesSource[AffectsTraining[dict[str, Any]]] = Field(default_factory=dict)
    splits: DescribesSource[SplitNames] = SplitNames()
    split_file: DescribesSource[AffectsTraining[str | None]] = Field(
        None, description="JSON file that lists the images of each split"
    )
    seed: AffectsTraining[int] = Field(0, ge=0)
    image_size: AffectsTraining[int | None] = Field(
        None, ge=8, le=8192, description="side in pixels; by default that of the model"
    )
    resize: AffectsTraining[Resize] = Field(
        "crop", description="squash: straight to the square, without keeping the aspect ratio"
    )
    validation: AffectsTraining[Validation] = Field(
        "official",
        description="drawn: images of the data's own validation split are training images too",
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
    def _own_eps_in_range(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        norm = parse_norm(str(value.get("norm", "linf")))
        eps = require_own_eps(value.get("eps"), norm, "4/255")
        parse_eps(eps, norm)
        return {**value, "eps": eps}


class ScheduleConfig(Component):
    """The schedule over eps, and whether eps changes at every step or every epoch."""

    name: str = "adaptive"
    interval: Literal["step", "epoch"] = "step"


class ObjectiveConfig(Component):
    """The objective that training minimizes."""

    name: str = "adversarial"


class AttackConfig(Component):
    """The attack that perturbs images; its norm and eps come from `threat` and `schedule`."""

    name: str = "apgd"


class StrategyConfig(Component):
    """Which weights are trained, and when."""


class CallbackConfig(Component):
    """A callback, which acts before and after each training step."""


#: A decay of AdamW's averages.
Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(Section):
    """AdamW with separate learning rates for backbone and head, and a linear warm-up."""

    backbone_lr: AffectsTraining[float] = Field(1e-4, ge=0)
    head_lr: AffectsTraining[float] = Field(4e-3, ge=0)
    backbone_weight_decay: AffectsTraining[float] = Field(0.01, ge=0)
    head_weight_decay: AffectsTraining[float] = Field(0.01, ge=0)
    betas: AffectsTraining[tuple[Beta, Beta]] = Field(
        (0.9, 0.999), description="decay of AdamW's averages of the gradient and of its square"
    )
    warmup: AffectsTraining[float] = Field(0.1, ge=0, lt=1, description="fraction of the run")
    lr_schedule: AffectsTraining[LrSchedule] = Field(
        "cosine", description="course of the learning rates after the warm-up"
    )
    clip_norm: AffectsTraining[float | None] = Field(None, gt=0)
    ramp_lr_factor: AffectsTraining[float] = Field(
        1.0, gt=0, description="on both learning rates in steps with eps above 0"
    )


class TrainingConfig(Section):
    """The length of the run, and how it is computed, saved and monitored."""

    epochs: AffectsTraining[int] = Field(50, ge=1)
    batch_size: AffectsTraining[int] = Field(
        32, ge=1, description="images per optimizer step, over all processes and micro-batches"
    )
    gradient_accumulation_steps: AffectsTraining[int] = Field(
        1, ge=1, description="number of micro-batches per batch"
    )
    precision: AffectsTraining[Literal["fp32", "bf16", "fp16"]] = "fp32"
    device: AffectsTraining[Literal["auto", "cpu"]] = "auto"
    channels_last: AffectsTraining[bool] = Field(
        False, description="memory layout in which many convolutions are faster"
    )
    linear_probe: AffectsTraining[bool] = Field(
        False, description="start an adaptive schedule at the strength that the backbone withstands"
    )
    attack_steps: AffectsTraining[Literal["constant", "proportional"]] = Field(
        "proportional",
        description="of the attack's K steps, proportional: max(2, ceil(K alpha)); constant: all",
    )
    fewest_attack_steps: AffectsTraining[int] = Field(
        2, ge=1, description="smallest number of steps with attack_steps=proportional"
    )
    warm_start: AffectsTraining[bool] = Field(
        False, description="begin each attack at the sample's perturbation of the epoch before"
    )
    on_overfitting: AffectsTraining[Literal["warn", "more-steps"]] = Field(
        "warn",
        description="what follows the alert catastrophic-overfitting; more-steps: the attack takes "
        "7 steps from then on",
    )
    checkpoint: AffectsTraining[Literal["last", "best"]] = "last"
    validation_strengths: AffectsTraining[int] = Field(
        4,
        ge=1,
        le=1000,
        description="strengths of the validation curve that checkpoint=best is chosen by",
    )
    validation_limit: AffectsNothing[int | Literal["auto", "all"]] = Field(
        "auto",
        description="number of validation images that are attacked after an epoch; auto: a "
        "twentieth of the training images and at least 50, about 5 % of an epoch's passes",
    )
    validation_steps: AffectsNothing[int | None] = Field(
        None, ge=1, description="steps of that attack; by default those of the training attack"
    )
    validation_every: AffectsNothing[int] = Field(
        1, ge=1, description="attack after every n-th epoch, and after the last one"
    )
    checkpoint_every: AffectsNothing[int] = Field(
        0, ge=0, description="steps between checkpoints; 0: only at the end of each epoch"
    )
    monitors: AffectsNothing[bool] = Field(
        True,
        description="warn of catastrophic overfitting, an exploding loss and suboptimal transfer",
    )
    trackers: AffectsNothing[tuple[str, ...]] = ()


class EvaluationConfig(Section):
    """How a model is evaluated: by which attack, on which images, at which strengths."""

    attack: AffectsEvaluation[AttackConfig] = AttackConfig(name="apgd", steps=10)
    mode: AffectsEvaluation[EvaluationMode] = "fast"
    largest_error: AffectsEvaluation[Precision | None] = Field(
        None,
        description="error of fast mode above which its recheck notices it, such as 5%; by default "
        "sqrt(2 / number of images)",
    )
    split: AffectsEvaluation[Literal["test", "validation", "all"]] = Field(
        "test", description="all: every image of data that the model was not trained on"
    )
    limit: AffectsEvaluation[int | None] = Field(
        None, ge=1, description="number of images, drawn at random; by default all"
    )
    limit_seed: AffectsEvaluation[int | None] = Field(
        None, ge=0, description="the seed of that draw; by default `seed`"
    )
    until: AffectsEvaluation[Precision | None] = Field(
        None,
        description="draw images until the interval of expected robustness reaches at most this "
        "far to each side, such as 1%",
    )
    stratified: AffectsEvaluation[bool] = False
    ids: AffectsEvaluation[str | None] = Field(
        None, description="file with the names of the images to use"
    )
    strengths: AffectsEvaluation[tuple[Eps, ...]] = Field(
        (), description="strengths above 0; by default whole gray levels, or parts of them"
    )
    resolution: AffectsEvaluation[int | None] = Field(
        None,
        ge=1,
        le=1000,
        description="number of parts that each step of the grid is divided into; by default as "
        "many as give eight strengths, or 1 if strengths are given",
    )
    top_k: AffectsEvaluation[int] = Field(
        1, ge=1, description="a prediction is correct if the label is among the k likeliest classes"
    )
    target: AffectsEvaluation[Target] = "none"
    match: AffectsEvaluation[Match] = "strict"
    rerun: AffectsNothing[int] = Field(
        0, ge=0, description="number of images to attack again at each strength alone, as a check"
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
