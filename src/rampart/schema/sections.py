"""The types of sections and values in the schema.

One type may appear under several keys. So a validator names a value relative to its own place (""
for itself), and the code that reads the configuration completes the key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from rampart.errors import InvalidArgument
from rampart.units import format_eps, parse_eps, parse_precision
from rampart.value_types import fit

T = TypeVar("T")
Fraction = Annotated[float, Field(gt=0, lt=1)]
#: The first result that a key changes: the trained model, the figures of an evaluation, or nothing.
Effect = Literal["training", "evaluation", "nothing"]


@dataclass(frozen=True)
class Affects:
    """Marks a field with the first result that it changes; every field has one mark."""

    what: Effect


AffectsTraining = Annotated[T, Affects("training")]
AffectsEvaluation = Annotated[T, Affects("evaluation")]
AffectsNothing = Annotated[T, Affects("nothing")]


@dataclass(frozen=True)
class OfSource:
    """Marks a key that describes a particular model or particular data, such as their folder."""


DescribesSource = Annotated[T, OfSource()]


# The range depends on the norm, so `ThreatConfig` checks it.
Eps = Annotated[
    float,
    BeforeValidator(lambda eps: parse_eps(eps, "l1", "")),
    # Exact, so that reading it again gives the same float.
    PlainSerializer(lambda eps: format_eps(eps, exact=True), return_type=str),
]

#: Half the width of an interval, a fraction; "1%" is 0.01.
Precision = Annotated[float, BeforeValidator(lambda value: parse_precision(value, ""))]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _fit(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return fit({key: one.annotation for key, one in cls.model_fields.items()}, value)


class Named(Section):
    """A section that may be written as its name alone: `model=resnet50.a1_in1k`."""

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            # YAML reads some names as a number or a boolean.
            raise InvalidArgument(
                "",
                value,
                "a name",
                f"""for a name write '"{value}"' on a command line, "{value}" in a file""",
            )
        if value == "" or (isinstance(value, Mapping) and value.get("name") == ""):
            raise InvalidArgument("" if value == "" else "name", "", "a name")
        return {"name": value} if isinstance(value, str | Path) else value


class Component(Named):
    """A registered component: its name, and its own options as further keys."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


def as_list(value: Any) -> Any:
    """Wrap a single part in a list, so that its brackets may be left out."""
    if isinstance(value, Mapping):
        return [value]
    if not isinstance(value, list | tuple):
        example = "a list such as [name, {name: name, option: value}]"
        raise InvalidArgument("", value, example)
    return value
