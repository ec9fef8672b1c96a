"""The fields of a run's configuration, section by section.

A section that names a component (`schedule`, `objective`, `attack`) takes the component's own
fields as further keys; `schedule=fix` on the command line replaces the whole section, while
`schedule.end=0.5` changes one key of it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rampart.data.splits import check_share
from rampart.errors import InvalidArgument
from rampart.evaluation.critical import Mode
from rampart.evaluation.goal import Reach
from rampart.models.foreign.classes import Match
from rampart.recipes.config.sections import Component, Eps, Named, Section, Share, as_list
from rampart.threat import ThreatModel
from rampart.units import Norm, parse_eps, parse_norm


class ModelConfig(Named):
    """The pretrained backbone.

    `name` is a timm name, `hf-hub:...`, `local-dir:...`, or a weights file with its `.json` beside
    it; `weights` puts a local file onto a named architecture.
    """

    name: str
    pretrained: bool = True
    weights: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    head: Literal["fresh", "kept"] = Field(
        "fresh", description="kept: train on with the head that the weights have"
    )
    batch_norm: Literal["train", "frozen"] = Field(
        "train", description="frozen: BatchNorm keeps the statistics that it was pretrained with"
    )

    @model_validator(mode="after")
    def _options_have_values(self) -> "ModelConfig":
        for key, value in self.options.items():
            if value is None:
                raise InvalidArgument(
                    "model.options", key, "a value for each", "write model.options.NAME=VALUE"
                )
        return self

    @model_validator(mode="after")
    def _weights_are_used(self) -> "ModelConfig":
        if self.weights is not None and not self.pretrained:
            raise InvalidArgument(
                "model.weights", self.weights, "no weights with model.pretrained=false"
            )
        if self.head == "kept" and not self.pretrained:
            raise InvalidArgument("model.head", "kept", "fresh with model.pretrained=false")
        return self


class AugmentConfig(Section):
    """Augmentations of the publication: flip, colour jitter, rotation in degrees."""

    flip: float = Field(0.5, ge=0, le=1)
    jitter: float = Field(0.25, ge=0, lt=1)
    rotation: float = Field(15.0, ge=0, le=180)


class DataConfig(Named):
    """The images: a folder, a .tar, `digit-pairs`, or a public dataset such as `torch/cifar10`.

    `seed` draws the splits that the data do not come with; runs that are compared share it.
    """

    name: str
    root: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(0, ge=0)
    image_size: int | None = Field(None, ge=8, description="by default the model's own")
    validation_share: float = 0.1
    test_share: float = 0.2
    workers: int = Field(0, ge=0)
    cache: bool | Literal["auto"] = "auto"
    augment: AugmentConfig = AugmentConfig()

    @model_validator(mode="after")
    def _every_split_has_images(self) -> "DataConfig":
        check_share("data.validation_share", self.validation_share)
        check_share("data.test_share", self.test_share)
        return self


class ThreatConfig(Section):
    """The adversary to become robust against: norm and target strength eps_g."""

    norm: Norm = "linf"
    eps: Eps = 4 / 255

    @model_validator(mode="before")
    @classmethod
    def _in_range(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            norm = parse_norm(str(value.get("norm", "linf")))
            parse_eps(value.get("eps", 0), norm, "threat.eps")
        return value

    def threat(self) -> ThreatModel:
        """The threat model itself."""
        return ThreatModel(self.norm, self.eps)


class ScheduleConfig(Component):
    """The schedule over eps, and whether it moves at every step or once an epoch."""

    name: str = "adaptive"
    granularity: Literal["step", "epoch"] = "step"


class ObjectiveConfig(Component):
    """What is minimised."""

    name: str = "adversarial"


class AttackConfig(Component):
    """How training examples are perturbed; norm and eps come from `threat` and `schedule`."""

    name: str = "apgd"

    @model_validator(mode="after")
    def _norm_belongs_to_threat(self) -> "AttackConfig":
        if "norm" in self.options:
            raise InvalidArgument(
                "attack.norm", self.options["norm"], "no norm here", "set threat.norm"
            )
        return self


class StrategyConfig(Component):
    """Which weights are trained, and when."""


class CallbackConfig(Component):
    """What acts around the steps."""


class OptimiserConfig(Section):
    """AdamW with separate rates for backbone and head, cosine with a linear warm-up."""

    backbone_lr: float = Field(1e-4, ge=0)
    head_lr: float = Field(4e-3, ge=0)
    backbone_weight_decay: float = Field(0.01, ge=0)
    head_weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the run")
    clip_norm: float | None = Field(None, gt=0)


class TrainingConfig(Section):
    """Length of the run and how it is carried out."""

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(32, ge=1, description="over all processes and accumulated pieces")
    accumulation: int = Field(1, ge=1, description="pieces that a batch is computed in")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: Literal["auto", "cpu"] = "auto"
    channels_last: bool = Field(
        False, description="memory layout in which many convolutions are faster"
    )
    probe: bool = Field(
        False, description="whether an adaptive schedule starts at what the backbone withstands"
    )
    attack_steps: Literal["constant", "proportional"] = Field(
        "proportional",
        description="proportional: max(2, ceil(K alpha)) of K while eps is small",
    )
    keep: Literal["last", "best"] = "last"
    validation_levels: int = Field(
        4, ge=1, description="strengths in the validation curve that keep=best is chosen on"
    )
    checkpoint_every: int = Field(0, ge=0, description="steps; 0: at the end of each epoch only")
    guards: bool = Field(
        True,
        description="warn of catastrophic overfitting, an exploding loss and suboptimal transfer",
    )
    trackers: tuple[str, ...] = ()


class EvaluationConfig(Section):
    """How a model is measured: accuracy at every strength of a grid, by an attack or a tier."""

    attack: AttackConfig = AttackConfig(name="apgd", steps=10)
    mode: Mode = "fast"
    split: Literal["test", "validation"] = "test"
    limit: int | None = Field(None, ge=1, description="images drawn at random; all by default")
    stratified: bool = False
    ids: str | None = Field(None, description="file with the names of the images to take")
    strengths: tuple[Eps, ...] = Field((), description="above 0; by default whole grey levels")
    resolution: int = Field(1, ge=1, description="parts that each step of the grid is cut into")
    top: int = Field(1, ge=1, description="right if the label is among so many likeliest classes")
    reach: Reach = "none"
    match: Match = "strict"
    audit: int = Field(0, ge=0, description="images attacked at each strength alone as well")
    witnesses: bool = False
    trust: bool = True
    batch_size: int = Field(128, ge=1)
    level: Share = 0.95


class RunFields(Section):
    """Everything that determines a run."""

    seed: int = Field(0, ge=0)
    model: ModelConfig
    data: DataConfig
    threat: ThreatConfig = ThreatConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    attack: AttackConfig = AttackConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    strategies: Annotated[tuple[StrategyConfig, ...], BeforeValidator(as_list)] = ()
    callbacks: Annotated[tuple[CallbackConfig, ...], BeforeValidator(as_list)] = ()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
