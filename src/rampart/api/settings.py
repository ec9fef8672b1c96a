"""Keyword arguments as keys of the configuration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, Literal, TypedDict, TypeVar

from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.choices import EvaluationMode, Match, Reach
from rampart.errors import InvalidArgument, UnknownName
from rampart.registry import Registry
from rampart.schema.fields import RunFields

T = TypeVar("T")
#: A component of the library: its name, its name with options beside it, or itself.
Options = Mapping[str, Any]


class EvaluationSettings(TypedDict, total=False):
    """What `evaluate` takes besides: keys of `evaluation`, `data` and `model`, and `seed`."""

    seed: int
    mode: EvaluationMode
    split: Literal["test", "validation"]
    limit: int | None
    stratified: bool
    ids: str | None
    strengths: Sequence[str | float]
    resolution: int
    top: int
    reach: Reach
    match: Match
    audit: int
    witnesses: bool
    trust: bool
    batch_size: int
    level: float
    image_size: int | None
    validation_share: float
    test_share: float
    root: str
    workers: int
    cache: bool | Literal["auto"]
    mean: Sequence[float] | None
    std: Sequence[float] | None


def place(
    keywords: Mapping[str, Any], known: Iterable[str], order: Sequence[str]
) -> dict[str, Any]:
    """Return keyword arguments as the nested sections of a configuration.

    Args:
        keywords: each a section, such as `schedule`, or a key of one of the sections in `order`.
        known: the keywords that there are.
        order: sections in which a key is looked up, the first that has it counts.

    Raises:
        UnknownName: no such keyword; the nearest are offered.
    """
    tree: dict[str, Any] = {}
    known = list(known)
    for name, value in keywords.items():
        if name not in known:
            raise UnknownName("keyword", name, known)
        if name in RunFields.model_fields:
            tree[name] = {**value, **tree.get(name, {})} if isinstance(value, Mapping) else value
        else:
            section = next(one for one in order if name in _keys(one))
            tree.setdefault(section, {})[name] = value
    return tree


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
    """Return an attack as a section of the configuration, where the norm is the threat's.

    Raises:
        InvalidArgument: the attack has another norm than the threat.
        UnknownName: an object whose class is not registered.
    """
    section = component(ATTACKS, attack)
    if isinstance(section, str):
        return section
    own = section.get("norm", "linf")
    if own not in ("linf", norm):
        raise InvalidArgument("norm", norm, f"{own}, that of the attack", f"write norm='{own}'")
    return {key: value for key, value in section.items() if key != "norm"}


def without_usual_keep(section: str | Options) -> str | Options:
    """Return the section of an attack that leaves to the evaluation what a point is kept for.

    An attack is made to train with by default, and an evaluation keeps the first point that is
    misclassified.
    """
    if isinstance(section, str) or "keep" not in section:
        return section
    usual = ATTACKS.dump(ATTACKS.build(section["name"]))
    return {k: v for k, v in section.items() if k != "keep" or v != usual["keep"]}
