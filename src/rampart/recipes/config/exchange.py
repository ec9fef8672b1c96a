"""Other data in a configuration: keys that describe the previous data do not describe the new ones.

The other keys stay: size and augmentation of the images belong to the model; the seed and the
fractions draw the same splits again if only the place of the data has changed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rampart.registry import flatten
from rampart.schema.effects import fields_of_source
from rampart.schema.fields import DataConfig

#: Keys of `data` such as "root" and "splits".
OF_SOURCE = fields_of_source(DataConfig)
_DEFAULTS: tuple[Any, ...] = ("", None, {})


def place_of(root: object, name: object) -> Path:
    """Return where data lie, for comparisons; a dataset of a library counts as a folder."""
    return Path(str(root or ""), str(name)).expanduser().resolve()


def exchange_data(section: dict[str, Any], name: Any) -> str:
    """Remove the keys that describe the previous data from a section `data`, unless it had none.

    Args:
        section: changed in place; still with the previous name.
        name: of the new data.

    Returns:
        a sentence on the keys that were set, or "".
    """
    old = section.get("name")
    if old is None or old == name:
        return ""
    if place_of(section.get("root"), old) == place_of("", name):
        # The same data; the new name includes the root.
        section.pop("root", None)
        return ""
    before = dict(section)
    for key in OF_SOURCE:
        section.pop(key, None)
    return explain_dropped(before, {**section, "name": name})


def explain_dropped(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return a sentence on keys of the source that only the first of two sections sets, or ""."""
    now = _set_keys(after)
    dropped = [f"data.{key}={value}" for key, value in _set_keys(before).items() if key not in now]
    if not dropped:
        return ""
    return (
        f"not used for '{after['name']}', because it describes '{before['name']}': "
        f"{', '.join(dropped)}; set it again if it applies to both."
    )


def _set_keys(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of the source with another value than the default, with dots."""
    found = flatten({key: section[key] for key in OF_SOURCE if key in section})
    return {key: value for key, value in found.items() if value not in _DEFAULTS}
