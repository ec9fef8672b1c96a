"""Rules for plain values that depend on the type of the field that takes them.

They hold for every key of a configuration and every option of a component:

- a list may be written without brackets: 2/255,4/255, and a single value for a list of one;
- true and false are not numbers;
- a number is not so large that computing with it overflows.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import Parameter, signature
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from rampart.errors import InvalidArgument
from rampart.plain import read_value

#: Counts are at most this; a seed may be larger.
MAX_COUNT = 10_000_000
#: Other numbers are at most this in size; float32 holds hundreds of times as much.
LARGEST = 1e36

#: Pydantic's words and those of a configuration.
_WORDS = {
    "a valid integer": "one whole number",
    "a valid number": "one number",
    "a valid tuple": "a list",
}


def fit(annotations: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by name in the form that their fields take.

    Args:
        annotations: the types of the fields; a value without one is returned as it is.
        values: plain values.

    Raises:
        InvalidArgument: true or false in place of a number, or a number out of every range; named
            after the field.
    """
    return {
        name: _fit(name, annotations[name], value) if name in annotations else value
        for name, value in values.items()
    }


def _fit(name: str, annotation: Any, value: Any) -> Any:
    kinds = _kinds(annotation)
    numeric = bool(kinds & {int, float})
    if takes_several(annotation):
        if isinstance(value, str):
            value = [read_value(name, part.strip()) for part in value.split(",")]
        elif numeric and isinstance(value, int | float):
            value = [value]
    if numeric and not kinds & {bool, Any}:
        for one in _flat(value):
            _require_number(name, one, whole=float not in kinds)
    return value


def _flat(value: Any) -> list[Any]:
    """Return the values in lists of any depth."""
    if not isinstance(value, list | tuple):
        return [value]
    return [one for inner in value for one in _flat(inner)]


def _require_number(name: str, value: Any, *, whole: bool) -> None:
    """Refuse true, false and numbers out of every range; other kinds of values are not checked."""
    if isinstance(value, bool):
        raise InvalidArgument(name, str(value).lower(), "a number")
    try:
        # A number in quotes is a number too.
        size = abs(float(value))
    except (TypeError, ValueError, OverflowError):
        size = LARGEST * 2 if isinstance(value, int) else 0.0
    if not math.isfinite(size):
        return
    if whole and size > MAX_COUNT and not name.endswith("seed"):
        raise InvalidArgument(name, value, f"a whole number up to {MAX_COUNT:,}")
    if not whole and size > LARGEST:
        raise InvalidArgument(name, value, f"a number up to {LARGEST:g} in size")


def require_no_booleans(where: str, values: Mapping[str, Any], code: Callable[..., Any]) -> None:
    """Refuse true and false where the code of a library takes a number; Python counts true as 1.

    Args:
        where: the key of the configuration that holds the values.
        values: plain values, by the name of the parameter.
        code: a function or a class; it says what its parameters take by types or defaults.

    Raises:
        InvalidArgument: named after the key.
    """
    given = {name: value for name, value in values.items() if isinstance(value, bool)}
    parameters = signature(code).parameters if given else {}
    hints: dict[str, Any] = {}
    # Types may name what is only imported for a type checker.
    with suppress(Exception):
        hints = get_type_hints(code.__init__ if isinstance(code, type) else code)  # type: ignore[misc]
    for name, value in given.items():
        found = parameters.get(name)
        if found is not None and _takes_number(found, hints.get(name, Any)):
            raise InvalidArgument(f"{where}.{name}", str(value).lower(), "a number")


def _takes_number(parameter: Parameter, annotation: Any) -> bool:
    kinds, default = _kinds(annotation), parameter.default
    if kinds & {int, float}:
        return bool not in kinds
    return isinstance(default, int | float) and not isinstance(default, bool)


def takes_several(annotation: Any) -> bool:
    """Return whether a field takes a list of values that are no lists themselves."""
    if get_origin(annotation) in (Union, UnionType):
        return any(map(takes_several, get_args(annotation)))
    inner = [get_origin(item) for item in get_args(annotation)]
    return get_origin(annotation) in (tuple, list) and not {tuple, list} & set(inner)


def _kinds(annotation: Any) -> set[Any]:
    """Return the types that a field takes, those of the items of a list included."""
    inner = get_args(annotation)
    if get_origin(annotation) is dict:
        return {Any}
    return set().union(*map(_kinds, inner)) if inner else {annotation}


def expectation(message: str) -> str:
    """Return what follows "expected" for a message of pydantic, in words of a configuration."""
    if message == "Field required":
        return "a value"
    expected = message.removeprefix("Value error, ").removeprefix("Input should be ")
    for start, words in _WORDS.items():
        if expected.startswith(start):
            return words
    return expected.replace("Tuple should have", "a tuple of")
