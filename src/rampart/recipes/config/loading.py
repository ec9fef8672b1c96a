"""Read a configuration from YAML and dotted overrides, and write it in full."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rampart.attacks.catalogue import ATTACKS
from rampart.errors import InvalidArgument, RampartWarning, RunError
from rampart.models.catalogue import full_name
from rampart.objectives.catalogue import OBJECTIVES
from rampart.plain import read_file, read_value, require_text
from rampart.recipes.config.exchange import NAMED, Exchange, exchange
from rampart.recipes.config.explaining import explain
from rampart.recipes.config.run_config import RunConfig
from rampart.runs.run_folder import RunFolder
from rampart.runs.settings_file import write_settings
from rampart.schedules.catalogue import SCHEDULES
from rampart.schema.components import (
    AttackConfig,
    CallbackConfig,
    ObjectiveConfig,
    ScheduleConfig,
    StrategyConfig,
)
from rampart.schema.fields import RunFields
from rampart.strategies.catalogue import STRATEGIES
from rampart.training.callbacks.catalogue import CALLBACKS

#: Takes a sentence on the outcome of the overrides.
Tell = Callable[[str], None]


def _warn(text: str) -> None:
    warnings.warn(text, RampartWarning, stacklevel=2)


def load_config(
    source: str | Path | RunFolder | None = None,
    overrides: Iterable[str] = (),
    tell: Tell = _warn,
) -> RunConfig:
    """Read a configuration from YAML, apply `key=value` overrides, and fill in the defaults.

    Args:
        source: the file, or a run, whose config.yaml has to match its checksum; by default the
            overrides are everything.
        overrides: in the order in which they apply.
        tell: called with a sentence on keys that do not outlast a change of `model.name` or
            `data.name`; by default a `RampartWarning`.

    Raises:
        InvalidArgument: a value of the wrong type or out of range, an override without `=`.
        UnknownName: an unknown key, component or option; the nearest known ones are offered.
        RunError: the file does not exist, is not a YAML mapping, or is that of a run and has
            changed.
    """
    return parse_config(_read_config(source), overrides, tell)


def change_config(config: RunFields, overrides: Iterable[str]) -> RunConfig:
    """Return the configuration changed by `key=value` overrides; errors as `load_config`."""
    return parse_config(dump_config(config), overrides)


def parse_config(
    tree: Mapping[str, Any], overrides: Iterable[str] = (), tell: Tell = _warn
) -> RunConfig:
    """Validate a plain nested mapping, changed by `key=value` overrides.

    Every default is filled in, the components' too; arguments and errors as `load_config`.
    """
    changed = dict(tree)
    exchanges = [_override(changed, override) for override in overrides]
    try:
        config = _complete(RunConfig.model_validate(changed))
    except ValidationError as error:
        raise explain(error) from None
    # Only now is it known which of the removed keys were set again.
    for sentence in (one.explain(config) for one in exchanges if one is not None):
        if sentence:
            tell(sentence)
    return config


def dump_config(config: RunFields) -> dict[str, Any]:
    """Return the configuration as plain values, from which `parse_config` makes an equal one."""
    return config.model_dump(mode="json")


def save_config(config: RunFields, path: Path) -> None:
    """Write the configuration in full as YAML, with its checksum in a comment."""
    write_settings(path, dump_config(config))


def _complete(config: RunConfig) -> RunConfig:
    """Fill in the full name of the model, and the defaults of the named components.

    The latter also checks their options.
    """
    parts = config.components
    schedule = SCHEDULES.dump(parts.schedule)
    attack = ATTACKS.dump(parts.attack)
    evaluation = ATTACKS.dump(parts.evaluation_attack)
    for dumped in (attack, evaluation):
        dumped.pop("norm")
    sections = {
        "model": config.model.model_copy(update={"name": full_name(config.model.name)}),
        "schedule": ScheduleConfig(interval=config.schedule.interval, **schedule),
        "objective": ObjectiveConfig(**OBJECTIVES.dump(parts.objective)),
        "attack": AttackConfig(**attack),
        "strategies": tuple(
            StrategyConfig(**STRATEGIES.dump(one)) for one in parts.strategies.values()
        ),
        "callbacks": tuple(
            CallbackConfig(**CALLBACKS.dump(one)) for one in parts.callbacks.values()
        ),
        "evaluation": config.evaluation.model_copy(update={"attack": AttackConfig(**evaluation)}),
    }
    return config.model_copy(update=sections)


def _read_config(source: str | Path | RunFolder | None) -> dict[str, Any]:
    if source is None:
        return {}
    if isinstance(source, RunFolder):
        return source.settings()
    path = Path(source)
    tree = read_file(path, "configuration")
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise RunError(f"configuration {path}: expected sections such as 'model:' at the top.")
    return tree


def _override(tree: dict[str, Any], text: str) -> Exchange | None:
    """Set `a.b.c=value` in a nested mapping; the value is read as YAML.

    `data=photos/` is short for `data.name=photos/`, and so is the name of any other section. Return
    the exchange if this names another model or other data.
    """
    key, equals, value = text.partition("=")
    require_text("override", key)
    if not equals or not key:
        raise InvalidArgument("override", text, "key=value", "for example schedule.end=0.5")
    read = read_value(key, value)
    if key in NAMED and isinstance(read, str):
        key = f"{key}.name"
    section, _, last = key.rpartition(".")
    keys = _enter(tree, section, key)
    named = last == "name" and section in NAMED
    exchanged = exchange(section, keys, read) if named else None
    if key == "threat.norm" and keys.get("norm", "linf") != read:
        # A strength belongs to its norm.
        keys.pop("eps", None)
    keys[last] = read
    return exchanged


def _enter(tree: dict[str, Any], section: str, key: str) -> dict[str, Any]:
    """Return the keys of a section, in which `key` is to be set; on the way mappings are copied."""
    parents = section.split(".") if section else []
    for place, parent in enumerate(parents, start=1):
        child = tree.get(parent)
        if child is not None and not isinstance(child, str | dict):
            known = ".".join(parents[:place])
            raise InvalidArgument(known, child, "a section", f"{key} cannot be set in a value")
        # `model: name` is short for `model: {name: name}`.
        child = {"name": child} if isinstance(child, str) else dict(child or {})
        tree[parent] = tree = child
    return tree
