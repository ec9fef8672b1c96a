"""Keyword arguments as keys of the configuration."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from numbers import Number
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar

from torch import Tensor

from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.choices import (
    ClassWeights,
    EvaluationMode,
    LabelUse,
    LrSchedule,
    Match,
    Opt,
    Resize,
    Sampler,
    Target,
    Validation,
)
from rampart.errors import InvalidArgument, UnknownName
from rampart.objectives.base import Objective
from rampart.objectives.catalogue import OBJECTIVES
from rampart.plugins import GIVEN
from rampart.registry import Registry
from rampart.schedules.catalogue import SCHEDULES
from rampart.schema.elsewhere import ELSEWHERE
from rampart.schema.fields import RunFields
from rampart.strategies.base import Strategy
from rampart.training.callbacks.base import Callback

T = TypeVar("T")
#: A component as a mapping: its name and its options.
Options = Mapping[str, Any]
#: Sections of a training, with keys of their own, and its components.
_OF_TRAINING = ("training", "optimizer")
_COMPONENTS = ("schedule", "objective", "strategies", "callbacks")


class EvaluationSettings(TypedDict, total=False):
    """Further keywords of `evaluate`: keys of `evaluation`, `data` and `model`, and `seed`."""

    seed: int
    mode: EvaluationMode
    largest_error: str | float | None
    split: Literal["test", "validation", "all"]
    limit: int | None
    limit_seed: int | None
    until: str | float | None
    stratified: bool
    ids: str | None
    strengths: Sequence[str | float]
    resolution: int | None
    top_k: int
    target: Target
    match: Match
    rerun: int
    adversarial_examples: bool
    checks: bool
    batch_size: int
    confidence: float
    image_size: int | None
    resize: Resize
    validation: Validation
    validation_fraction: float
    test_fraction: float
    root: str
    splits: Mapping[str, str]
    split_file: str | None
    workers: int | Literal["auto"]
    cache: bool | Literal["auto"]
    mean: Sequence[float] | None
    std: Sequence[float] | None


class FinetuneSettings(TypedDict, total=False):
    """Further keywords of `finetune`: sections of the configuration, and keys of some of them."""

    seed: int
    objective: str | Options | Objective
    strategies: str | Sequence[str | Options | Strategy]
    callbacks: str | Sequence[str | Options | Callback]
    evaluation: Options
    # Of `training`.
    sampler: Sampler
    class_weights: ClassWeights
    gradient_accumulation_steps: int
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    device: Literal["auto", "cpu"]
    channels_last: bool | Literal["auto"]
    tf32: bool | Literal["auto"]
    compile: bool
    gradient_checkpointing: bool
    linear_probe: bool
    attack_steps: Literal["constant", "proportional"]
    fewest_attack_steps: int
    warm_start: bool
    on_overfitting: Literal["auto", "warn", "more-steps"]
    checkpoint: Literal["last", "best"]
    validation_strengths: int
    validation_limit: int | Literal["auto", "all"]
    validation_steps: int | None
    validation_every: int
    checkpoint_every: int
    monitors: bool
    trackers: Sequence[str]
    # Of `model`.
    pretrained: bool
    weights: str | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    head: Literal["fresh", "pretrained"]
    batch_norm: Literal["train", "frozen"]
    # Of `data`.
    root: str
    splits: Mapping[str, str]
    split_file: str | None
    image_size: int | None
    resize: Resize
    validation: Validation
    validation_fraction: float
    test_fraction: float
    label_noise: float
    labels: LabelUse
    workers: int | Literal["auto"]
    cache: bool | Literal["auto"]
    augment: Mapping[str, float]
    # Of `optimizer`.
    opt: Opt
    backbone_lr: float
    head_lr: float
    backbone_weight_decay: float
    head_weight_decay: float
    betas: tuple[float, float]
    momentum: float
    warmup: float
    lr_schedule: LrSchedule
    milestones: Sequence[float]
    clip_norm: float | None
    ramp_lr_factor: float
    fused: bool | Literal["auto"]


def place(
    keywords: Mapping[str, Any],
    typed: Iterable[str],
    order: Sequence[str],
    others: Iterable[str] = (),
    mappings: Sequence[str] = (),
) -> dict[str, Any]:
    """Return keyword arguments as the nested sections of a configuration.

    Args:
        keywords: each a section, such as `objective`, or a key of one of the sections in `order`.
        typed: the names of all keywords.
        order: sections in which a key is looked up; the first that has it counts.
        others: names of further arguments, to offer for a misspelled keyword.
        mappings: arguments that may be a mapping with the keys of their section.

    Raises:
        UnknownName: a keyword is unknown; the nearest ones are offered.
    """
    known = list(typed)
    tree: dict[str, Any] = {}
    for name, value in keywords.items():
        if name not in known:
            instead = _advise(name, [*known, *others], order, mappings)
            raise UnknownName("keyword", name, [*known, *others], instead=instead)
        if name in RunFields.model_fields:
            tree[name] = value
        else:
            section = next(one for one in order if name in _keys(one))
            tree.setdefault(section, {})[name] = value
    return tree


def _advise(name: str, known: Sequence[str], order: Sequence[str], mappings: Sequence[str]) -> str:
    """Return what to write in place of an unknown keyword, if that is clear.

    It may be a section, join a section and a key (`model_options`), be a key of an argument that
    takes a mapping (`steps`), be another library's word, or belong to training.
    """
    section, _, key = name.partition("_")
    if meant := [one for one in ELSEWHERE.get(name, ()) if one in known]:
        return f"write {' and '.join(meant)}"
    if section == "threat":
        return "write norm and eps"
    if name in order:
        return f"give its keys, such as {', '.join(one for one in _keys(name) if one in known)}"
    if section in RunFields.model_fields and key in known:
        return f"write {key}"
    forms = []
    for one in mappings:
        word = key if one == section else name
        if word in _mapped(one) and word not in ("name", *known):
            named = "" if one == "evaluation" else '"name": ..., '
            forms.append(f'{one}={{{named}"{word}": ...}}')
    if forms:
        return f"write {' or '.join(forms)}"
    sections = [one for one in _OF_TRAINING if one not in order]
    of_training = {*sections, *_COMPONENTS, *(key for one in sections for key in _keys(one))}
    if sections and of_training & {name, *ELSEWHERE.get(name, ())}:
        return "it belongs to training, so give it to rampart.finetune"
    return ""


def _mapped(argument: str) -> Collection[str]:
    """Return the keys of a mapping that an argument takes."""
    registries: dict[str, Registry[Any]] = {
        "attack": ATTACKS,
        "schedule": SCHEDULES,
        "objective": OBJECTIVES,
    }
    if argument not in registries:
        return list(_keys(argument))
    registry = registries[argument]
    return [
        option
        for option in {f for name in registry.names() for f in registry.options(name)}
        if option not in ("norm", "seed")
    ]


def with_object(section: Options, given: object) -> dict[str, Any]:
    """Return the section `model` or `data` with the given name, keys or object.

    Raises:
        InvalidArgument: a key is also given as a keyword, or a value of the mapping is an object;
            or the mapping is a state dict.
    """
    if not isinstance(given, Mapping):
        named = isinstance(given, str | Path)
        return {**section, "name": str(given) if named else f"{GIVEN}{name_of(given)}"}
    if _is_state_dict(given):
        raise InvalidArgument(
            "model",
            "the weights of a model",
            "the model itself",
            "build its architecture, call load_state_dict() on it and pass it",
        )
    for key, value in given.items():
        if not _is_plain(value):
            raise InvalidArgument(
                str(key),
                f"a {type(value).__name__}",
                "a plain value, because a mapping holds keys of the configuration",
                "give objects themselves, and several splits as (train, validation[, test])",
            )
    for key in section.keys() & given.keys():
        raise InvalidArgument(key, section[key], "one value", "leave out the keyword or the key")
    return {**section, **given}


def _is_state_dict(given: Mapping[Any, Any]) -> bool:
    """Return whether a mapping is a state dict, or a checkpoint that holds one."""
    names = [str(key) for key, value in given.items() if isinstance(value, Tensor | Mapping)]
    return any(name.endswith(("weight", "bias", "state_dict")) for name in names)


def _is_plain(value: object) -> bool:
    """Whether a value can stand in a configuration, unlike a dataset, a tensor or a module."""
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | Path | Number)


def name_of(value: object) -> str:
    """Return the name of a model or of data in a record: a name or path, else their type."""
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, tuple | list):
        tensors = all(isinstance(one, Tensor) for one in value)
        return "tensors" if tensors else name_of(value[0]) if value else "nothing"
    dataset = getattr(value, "dataset", value)
    return str(getattr(dataset, "__qualname__", type(dataset).__qualname__))


def _keys(section: str) -> Iterable[str]:
    annotation: Any = RunFields.model_fields[section].annotation
    return annotation.model_fields


def component(registry: Registry[Any], value: str | Options | object) -> str | Options:
    """Return a component as a section of the configuration.

    Raises:
        UnknownName: an object whose class is not registered.
    """
    if isinstance(value, str | Mapping):
        return value
    if not is_dataclass(value):
        raise InvalidArgument(
            registry.kind, value, f"a name, a mapping with the key name, or a {registry.kind}"
        )
    return registry.dump(value)


def attack_section(attack: str | Options | Attack, norm: str) -> str | Options:
    """Return an attack as a section of the configuration, without its norm.

    Raises:
        InvalidArgument: the norm of the attack differs from that of the threat.
        UnknownName: an object whose class is not registered.
    """
    section = component(ATTACKS, attack)
    if isinstance(section, str):
        return section
    own = section.get("norm", "linf")
    if own not in ("linf", norm):
        raise InvalidArgument("norm", norm, f"{own}, that of the attack", f"write norm='{own}'")
    return {key: value for key, value in section.items() if key != "norm"}


def without_default_iterate(section: str | Options) -> str | Options:
    """Return the section of an attack without `iterate`, if that has the attack's default.

    The defaults of an attack suit training. An evaluation then returns the first adversarial
    iterate.
    """
    if isinstance(section, str) or "iterate" not in section:
        return section
    usual = ATTACKS.dump(ATTACKS.build(section["name"]))
    return {k: v for k, v in section.items() if k != "iterate" or v != usual["iterate"]}
