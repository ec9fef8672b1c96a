"""Whether a key of the configuration changes results: the mark on its field, by the key's name."""

from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from rampart.schema.fields import RunFields
from rampart.schema.sections import Affects, Effect, Section


@cache
def effect_of(key: str) -> Effect:
    """Return what a key such as "training.epochs" changes first.

    A component's options change what the component changes. A key that this version does not know,
    as in the file of another one, may change anything.
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
    """Return the effect that a field is marked with; a section of marked fields has none itself."""
    marks = [mark.what for mark in field.metadata if isinstance(mark, Affects)]
    return marks[0] if marks else None


def fields_that_affect(section: type[Section], effect: Effect) -> list[str]:
    """Return the names of a section's fields that are marked with an effect, in their order."""
    return [name for name, field in section.model_fields.items() if mark_of(field) == effect]
