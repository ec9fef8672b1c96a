"""The one typed configuration of a run: from YAML and dotted overrides, and back in full.

A section that names a component (`schedule`, `objective`, `attack`) takes the component's own
fields as further keys; `schedule=fix` on the command line replaces the whole section, while
`schedule.end=0.5` changes one key of it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from rampart.attacks.autoattack import AutoAttack
from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.data.splits import check_share
from rampart.errors import InvalidArgument, RampartError, RunError, UnknownName
from rampart.evaluation.critical import Mode
from rampart.evaluation.goal import Reach
from rampart.files import write_atomic
from rampart.models.foreign.classes import Match
from rampart.objectives.base import Objective
from rampart.objectives.catalogue import OBJECTIVES
from rampart.registry import flatten
from rampart.schedules.base import Schedule
from rampart.schedules.catalogue import SCHEDULES
from rampart.strategies.base import Strategy, check_together
from rampart.strategies.catalogue import STRATEGIES
from rampart.threat import ThreatModel
from rampart.training.callbacks.base import Callback
from rampart.training.callbacks.catalogue import CALLBACKS
from rampart.units import Norm, parse_eps, parse_norm

Share = Annotated[float, Field(gt=0, lt=1)]

#: Strategies that have a way of training the backbone.
ADAPTING = ("lp-ft", "lora")
#: Keys that choose a component whose options stand beside its name.
COMPONENT_NAMES = ("schedule.name", "objective.name", "attack.name", "evaluation.attack.name")


def _spell_eps(eps: float) -> str:
    """Spell eps such that reading it again gives the same number to the last bit."""
    levels = round(eps * 255)
    return f"{levels}/255" if levels / 255 == eps and levels else repr(eps)


# The range depends on the norm, so `ThreatConfig` checks it.
Eps = Annotated[
    float,
    BeforeValidator(lambda eps: parse_eps(eps, "l1", "threat.eps")),
    PlainSerializer(_spell_eps, return_type=str),
]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Named(Section):
    """A section that may be written as its name alone: `model=resnet50.a1_in1k`."""

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            # YAML has made a number or a truth value of a name.
            raise InvalidArgument(
                cls.__name__.removesuffix("Config").lower(),
                value,
                "a name",
                f"""write {{name: '"{value}"'}} for a name that looks like a number""",
            )
        return {"name": value} if isinstance(value, str | Path) else value


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


class Component(Named):
    """The name of a registered component, with the component's own options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


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


def _as_list(value: Any) -> Any:
    """One part may be written without the brackets of a list."""
    return [value] if isinstance(value, str | Mapping) else value


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


class RunConfig(Section):
    """Everything that determines a run."""

    seed: int = Field(0, ge=0)
    model: ModelConfig
    data: DataConfig
    threat: ThreatConfig = ThreatConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    attack: AttackConfig = AttackConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    strategies: Annotated[tuple[StrategyConfig, ...], BeforeValidator(_as_list)] = ()
    callbacks: Annotated[tuple[CallbackConfig, ...], BeforeValidator(_as_list)] = ()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _attack_for_objective(self) -> "RunConfig":
        own = self.attack.name == "fab" or issubclass(ATTACKS.get(self.attack.name), AutoAttack)
        if own and self.build_objective().chooses_loss:
            raise InvalidArgument(
                "attack",
                self.attack.name,
                f"an attack that maximises any loss, for objective={self.objective.name}",
                "write attack=apgd or attack=pgd",
            )
        return self

    @model_validator(mode="after")
    def _probe_for_adaptive(self) -> "RunConfig":
        if not self.training.probe:
            return self
        if not self.build_schedule().needs_accuracy:
            raise InvalidArgument(
                "training.probe",
                True,
                "an adaptive schedule, whose ramp the probe starts",
                "write schedule=adaptive, or run `rampart probe` to see its verdict only",
            )
        if not self.attacks:
            raise InvalidArgument(
                "training.probe", True, "an attack in training, whose strength it is about"
            )
        if "lp-ft" in self.build_strategies():
            raise InvalidArgument(
                "training.probe",
                True,
                "false with strategies=[lp-ft], which needs a time at eps = 0",
            )
        return self

    @model_validator(mode="after")
    def _one_loss(self) -> "RunConfig":
        chosen = self.attack.options.get("loss", "ce")
        if chosen != "ce" and self.build_objective().chooses_loss:
            raise InvalidArgument(
                "attack.loss",
                chosen,
                f"no loss here with objective={self.objective.name}, which has its own",
                "set objective.inner" if self.objective.name == "trades" else "leave it out",
            )
        return self

    @model_validator(mode="after")
    def _parts_go_together(self) -> "RunConfig":
        for section, parts in (("strategies", self.strategies), ("callbacks", self.callbacks)):
            names = [one.name for one in parts]
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise InvalidArgument(section, twice[0], "each name once")
        check_together(self.build_strategies())
        self.build_objective().check_attack(self.build_attack())
        idle = [name for name, one in self.build_callbacks().items() if one.needs_attack]
        if idle and not self.attacks:
            raise InvalidArgument(
                "callbacks",
                idle[0],
                "a run that attacks, for it acts only where images are perturbed",
                f"leave out {idle[0]}, or write objective=adversarial and a threat.eps above 0",
            )
        if self.build_objective().anchors and "linear-probe" in self.build_strategies():
            raise InvalidArgument(
                "strategies",
                "linear-probe",
                f"one that trains the backbone, which objective={self.objective.name} anchors",
                "leave out linear-probe, or write objective=adversarial",
            )
        return self

    @model_validator(mode="after")
    def _backbone_moves_for_its_parts(self) -> "RunConfig":
        parts = [f"strategies=[{name}]" for name in self.build_strategies() if name in ADAPTING]
        if self.build_objective().anchors:
            parts.append(f"objective={self.objective.name}")
        if parts and self.optimiser.backbone_lr == 0:
            raise InvalidArgument(
                "optimiser.backbone_lr",
                0,
                f"a rate above 0 with {parts[0]}, which is about how the backbone moves",
                f"write strategies=[linear-probe] in place of {parts[0]} for the head alone",
            )
        return self

    @property
    def attacks(self) -> bool:
        """Whether training looks at perturbed images."""
        return self.threat.eps > 0 and self.build_objective().attacks

    @property
    def normalises_by_batch(self) -> bool:
        """Whether BatchNorm, where the network has it, is in train mode in training."""
        return self.model.batch_norm == "train" and "linear-probe" not in self.build_strategies()

    def build_schedule(self) -> Schedule:
        """The schedule that the configuration names; one that draws uses the run's seed."""
        name, options = self.schedule.name, self.schedule.options
        for option in options:
            if not SCHEDULES.takes(name, option):
                known = ["granularity", *SCHEDULES.dump(SCHEDULES.build(name))]
                raise UnknownName(f"option of schedule '{name}'", option, set(known) - {"name"})
        own = {"seed": self.seed} if SCHEDULES.takes(name, "seed") else {}
        return SCHEDULES.build(name, {**own, **options})

    def build_objective(self) -> Objective:
        """The objective that the configuration names."""
        return OBJECTIVES.build(self.objective.name, self.objective.options)

    def build_attack(self) -> Attack:
        """The attack used in training, in the norm of the threat."""
        section = self.attack
        # As published; whichever other option of it is set.
        steps = {"steps": 7} if section.name in ("apgd", "pgd") else {}
        section = AttackConfig(name=section.name, **{**steps, **section.options})
        return _attack(section, self.threat.norm)

    def build_strategies(self) -> dict[str, Strategy]:
        """The strategies that the configuration names, by name."""
        return {one.name: STRATEGIES.build(one.name, one.options) for one in self.strategies}

    def build_callbacks(self) -> dict[str, Callback]:
        """The callbacks that the configuration names, by name."""
        return {one.name: CALLBACKS.build(one.name, one.options) for one in self.callbacks}

    def build_evaluation_attack(self) -> Attack:
        """The attack used in evaluation: a sample counts as broken as soon as one iterate is."""
        name, options = self.evaluation.attack.name, self.evaluation.attack.options
        strict = {"keep": "broken"} if ATTACKS.takes(name, "keep") else {}
        return _attack(AttackConfig(name=name, **{**strict, **options}), self.threat.norm)


def _attack(section: AttackConfig, norm: Norm) -> Attack:
    loss = str(section.options.get("loss", ""))
    if loss.startswith("targeted-"):
        raise InvalidArgument(
            "attack.loss", loss, "an untargeted loss", "targets are chosen in Python only"
        )
    return ATTACKS.build(section.name, {"norm": norm, **section.options})


def load_config(path: Path | None = None, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a configuration from YAML, change it by `key=value` overrides, and complete it.

    Raises:
        InvalidArgument: a value of the wrong type or out of range, an override without `=`.
        UnknownName: an unknown key, component or option; the nearest known ones are offered.
        RunError: the file does not exist or is no YAML mapping.
    """
    return parse_config(_read_yaml(path) if path is not None else {}, overrides)


def change_config(config: RunConfig, overrides: Iterable[str]) -> RunConfig:
    """Return the configuration changed by `key=value` overrides; errors as `load_config`."""
    return parse_config(dump_config(config), overrides)


def parse_config(tree: Mapping[str, Any], overrides: Iterable[str] = ()) -> RunConfig:
    """Validate a plain nested mapping, changed by `key=value` overrides.

    Every default is filled in, the components' too; errors as `load_config`.
    """
    changed = dict(tree)
    for override in overrides:
        _override(changed, override)
    try:
        return _complete(RunConfig.model_validate(changed))
    except ValidationError as error:
        raise _explain(error) from None


def dump_config(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as plain values, from which `parse_config` makes an equal one."""
    return config.model_dump(mode="json")


def save_config(config: RunConfig, path: Path) -> None:
    """Write the configuration in full as YAML."""
    write_atomic(path, yaml.safe_dump(dump_config(config), sort_keys=False))


def differences(old: RunConfig, new: RunConfig) -> list[str]:
    """Say which keys differ, as `key: old -> new`."""
    before, after = flatten(dump_config(old)), flatten(dump_config(new))
    return [
        f"{key}: {before.get(key)} -> {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def concerns(line: str, keys: Iterable[str]) -> bool:
    """Whether a line of `differences` is about one of the keys, or about one below it."""
    changed = line.partition(":")[0]
    return any(changed == key or changed.startswith(f"{key}.") for key in keys)


def _complete(config: RunConfig) -> RunConfig:
    """Fill in the defaults of the named components, which checks their options on the way."""
    schedule = SCHEDULES.dump(config.build_schedule())
    attack = ATTACKS.dump(config.build_attack())
    evaluation = ATTACKS.dump(config.build_evaluation_attack())
    for dumped in (attack, evaluation):
        dumped.pop("norm")
    sections = {
        "schedule": ScheduleConfig(granularity=config.schedule.granularity, **schedule),
        "objective": ObjectiveConfig(**OBJECTIVES.dump(config.build_objective())),
        "attack": AttackConfig(**attack),
        "strategies": tuple(
            StrategyConfig(**STRATEGIES.dump(one)) for one in config.build_strategies().values()
        ),
        "callbacks": tuple(
            CallbackConfig(**CALLBACKS.dump(one)) for one in config.build_callbacks().values()
        ),
        "evaluation": config.evaluation.model_copy(update={"attack": AttackConfig(**evaluation)}),
    }
    return config.model_copy(update=sections)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"configuration {path} does not exist.") from None
    except UnicodeDecodeError as error:
        raise RunError(f"configuration {path} is not UTF-8 text ({error.reason}).") from None
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise RunError(f"configuration {path} is not valid YAML: {where}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise RunError(f"configuration {path}: expected sections such as 'model:' at the top.")
    return tree


def _override(tree: dict[str, Any], text: str) -> None:
    """Set `a.b.c=value` in a nested mapping; the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidArgument("override", text, "key=value", "for example schedule.end=0.5")
    *parents, last = key.split(".")
    for parent in parents:
        child = tree.get(parent)
        if child is not None and not isinstance(child, str | dict):
            raise InvalidArgument(parent, child, "a section", f"so {key} cannot be set in it")
        # `model: name` is short for `model: {name: name}`.
        child = {"name": child} if isinstance(child, str) else dict(child or {})
        tree[parent] = tree = child
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        read = value
    if key in COMPONENT_NAMES and tree.get("name") != read:
        # Options are those of a component: another one has others.
        tree.clear()
    tree[last] = read


def _explain(error: ValidationError) -> RampartError:
    """Turn pydantic's first complaint into one clear sentence."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, RampartError):
        return cause
    if first["type"] == "extra_forbidden":
        parent = first["loc"][:-1]
        known = [".".join([*map(str, parent), name]) for name in _known_keys(parent)]
        # `epochs=3` most likely means `training.epochs=3`.
        same = [key for key in _all_keys(RunConfig) if key.rpartition(".")[2] == first["loc"][-1]]
        if same:
            return RampartError(f"unknown key '{where}': did you mean {' or '.join(same)}?")
        return UnknownName("key", where, known)
    if first["type"] == "missing":
        return RunError(f"{where} is not set: add {where}=VALUE, or put it into the configuration.")
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if "valid tuple" in expected:
        expected = "a list such as [name, {name: name, option: value}]"
    if "dictionary" in expected:
        expected = f"a section with keys such as {where}.{_known_keys(first['loc'])[0]}"
    return InvalidArgument(where, first["input"], expected)


def _all_keys(section: Any, prefix: str = "") -> list[str]:
    keys = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += _all_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = RunConfig
    for part in location:
        section = section.model_fields[str(part)].annotation
    return list(section.model_fields)
