"""Look up by name which results a key of the configuration changes."""

from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from rampart.schema.fields import RunFields
from rampart.schema.sections import Affects, Effect, OfSource, Section


@cache
def effect_of(key: str) -> Effect:
    """Return the first result that a key such as "training.epochs" changes.

    The options of a component change what the component changes. An unknown key, such as one from
    a file of another version, may change anything, so it counts as "training".
    """
    section: Any = RunFields
    for part in key.split("."):
        field = section.model_fields.get(part)
        if field is None:
            break
        own = mark_of(field)
        if own is not None:
            return own
        section = field.annotation
    return "training"


def mark_of(field: FieldInfo) -> Effect | None:
    """Return the effect that a field is marked with; None for a section of marked fields."""
    marks = [mark.what for mark in field.metadata if isinstance(mark, Affects)]
    return marks[0] if marks else None


def fields_that_affect(section: type[Section], effect: Effect) -> list[str]:
    """Return the names of a section's fields that are marked with an effect, in their order."""
    return [name for name, field in section.model_fields.items() if mark_of(field) == effect]


def fields_of_source(section: type[Section]) -> list[str]:
    """Return the names of a section's fields that describe what it names, in their order."""
    marked = section.model_fields.items()
    return [name for name, field in marked if any(isinstance(m, OfSource) for m in field.metadata)]
