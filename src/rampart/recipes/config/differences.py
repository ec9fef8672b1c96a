"""The keys in which two configurations differ, and whether they change results."""

from typing import Any, NamedTuple

from rampart.recipes.config.loading import dump_config
from rampart.registry import flatten
from rampart.schema.effects import effect_of
from rampart.schema.fields import RunFields
from rampart.schema.sections import Effect


class Difference(NamedTuple):
    """A key with different values in two configurations; None if one of them lacks the key."""

    key: str
    old: Any
    new: Any

    @property
    def affects(self) -> Effect:
        """The first result that the key changes."""
        return effect_of(self.key)

    def is_in(self, *keys: str) -> bool:
        """Return whether the key is one of these, or below one of them."""
        return any(self.key == key or self.key.startswith(f"{key}.") for key in keys)

    def __str__(self) -> str:
        return f"{self.key}: {self.old} -> {self.new}"


def differences(old: RunFields, new: RunFields) -> list[Difference]:
    """Return the keys in which two configurations differ, sorted."""
    before, after = flatten(dump_config(old)), flatten(dump_config(new))
    return [
        Difference(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def spell_differences(changed: list[Difference]) -> str:
    """Return differences in one line, for a message."""
    return "; ".join(map(str, changed))
