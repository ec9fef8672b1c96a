"""Another name in a section: keys that describe what it named before do not outlast the change.

These are the options of a component, and the keys of `model` and `data` that are marked with
`DescribesSource`. The other keys stay, because they describe the run: `schedule.interval`,
`model.batch_norm`; size and augmentation of the images; the seed and the fractions, which draw the
same splits again if only the place of the data has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart.models.catalogue import full_name
from rampart.recipes.config.suggesting import section_of
from rampart.registry import flatten
from rampart.schema.effects import fields_of_source
from rampart.schema.fields import RunFields
from rampart.schema.sections import Component, Named, Section

_DEFAULTS: tuple[Any, ...] = ("", None, {})


def _named_in(section: type[Section], prefix: str = "") -> dict[str, type[Named]]:
    found: dict[str, type[Named]] = {}
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        if inner is not None and issubclass(inner, Named):
            found[f"{prefix}{name}"] = inner
        elif inner is not None:
            found |= _named_in(inner, f"{prefix}{name}.")
    return found


#: The sections that have a name, such as "data" and "evaluation.attack".
NAMED = _named_in(RunFields)


@dataclass(frozen=True)
class Exchange:
    """Another model, or other data, in a configuration.

    Attributes:
        section: `model` or `data`.
        before: its keys before the change.
        name: of the new model or data.
    """

    section: str
    before: Mapping[str, Any]
    name: str

    def explain(self, config: RunFields) -> str:
        """Return a sentence on keys that were removed and that `config` does not set, or ""."""
        after = getattr(config, self.section).model_dump()
        return explain_dropped(self.section, self.before, {**after, "name": self.name})


def exchange(section: str, keys: dict[str, Any], name: Any) -> Exchange | None:
    """Remove the keys that describe what a section names, unless `name` is the same.

    Args:
        section: one of `NAMED`.
        keys: of the section, changed in place; still with the previous name.
        name: the new one.

    Returns:
        the exchange of a model or of data; None for a component, or if there was no name.
    """
    kind, before = NAMED[section], dict(keys)
    field = kind.model_fields["name"]
    old = before.get("name") or (None if field.is_required() else field.default)
    if old is None or old == name:
        return None
    if _is_same(section, before, name):
        if section == "data":
            # The new name includes the root.
            keys.pop("root", None)
        return None
    for key in before:
        if _describes(kind, key):
            del keys[key]
    return None if issubclass(kind, Component) else Exchange(section, before, str(name))


def place_of(root: object, name: object) -> Path:
    """Return where data lie, for comparisons; a dataset of a library counts as a folder."""
    return Path(str(root or ""), str(name)).expanduser().resolve()


def explain_dropped(section: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return a sentence on keys of the source that only the first of two sections sets, or ""."""
    now = _set_keys(section, after)
    old = _set_keys(section, before)
    dropped = [f"{section}.{key}={value}" for key, value in old.items() if key not in now]
    if not dropped:
        return ""
    return (
        f"not used for '{after['name']}', because it describes '{before['name']}': "
        f"{', '.join(dropped)}; set it again if it applies to both."
    )


def _is_same(section: str, before: Mapping[str, Any], name: Any) -> bool:
    """Return whether another spelling names the same model or the same data."""
    old = before.get("name")
    if section == "data":
        return place_of(before.get("root"), old) == place_of("", name)
    if section == "model":
        same_file = place_of("", old) == place_of("", name)
        return same_file or full_name(str(old)) == full_name(str(name))
    return False


def _describes(kind: type[Named], key: str) -> bool:
    """Return whether a key of a section describes what the section names."""
    if issubclass(kind, Component):
        return key not in kind.model_fields
    return key in fields_of_source(kind)


def _set_keys(section: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of the source with another value than the default, with dots."""
    names = fields_of_source(NAMED[section])
    found = flatten({key: keys[key] for key in names if key in keys})
    return {key: value for key, value in found.items() if value not in _DEFAULTS}
