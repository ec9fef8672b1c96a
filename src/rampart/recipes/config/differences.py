"""In which keys configurations differ."""

from collections.abc import Iterable

from rampart.recipes.config.loading import dump_config
from rampart.recipes.config.run_config import RunConfig
from rampart.registry import flatten


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
