"""Kinds of sections and values that the schema is made of.

A validator names a value relative to where it stands ("" for itself), because the same kind stands
under several keys; what reads the configuration completes the key.
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
from rampart.units import format_eps, parse_eps

T = TypeVar("T")
Fraction = Annotated[float, Field(gt=0, lt=1)]
#: What changes first where a key does: the model that is trained, the figures that an evaluation
#: comes to, or no result.
Effect = Literal["training", "evaluation", "nothing"]


@dataclass(frozen=True)
class Affects:
    """The mark on a field that says what it changes; every field has one."""

    what: Effect


AffectsTraining = Annotated[T, Affects("training")]
AffectsEvaluation = Annotated[T, Affects("evaluation")]
AffectsNothing = Annotated[T, Affects("nothing")]


# The range depends on the norm, so `ThreatConfig` checks it.
Eps = Annotated[
    float,
    BeforeValidator(lambda eps: parse_eps(eps, "l1", "")),
    # Reading it again gives the same number to the last bit.
    PlainSerializer(lambda eps: format_eps(eps, exact=True), return_type=str),
]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Named(Section):
    """A section that may be written as its name alone: `model=resnet50.a1_in1k`."""

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            # YAML has made a number or a truth value of a name.
            raise InvalidArgument(
                "",
                value,
                "a name",
                f"""write {{name: '"{value}"'}} for a name that looks like a number""",
            )
        return {"name": value} if isinstance(value, str | Path) else value


class Component(Named):
    """The name of a registered component, with the component's own options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


def as_list(value: Any) -> Any:
    """One part may be written without the brackets of a list."""
    if isinstance(value, str | Mapping):
        return [value]
    if not isinstance(value, list | tuple):
        example = "a list such as [name, {name: name, option: value}]"
        raise InvalidArgument("", value, example)
    return value
