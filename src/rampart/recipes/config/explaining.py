"""What pydantic finds wrong with a configuration, in one clear sentence."""

from typing import Any

from pydantic import BaseModel, ValidationError

from rampart.errors import InvalidArgument, RampartError, RunError, UnknownName
from rampart.recipes.config.schema import RunFields


def explain(error: ValidationError) -> RampartError:
    """Turn pydantic's first complaint into one clear sentence."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, RampartError):
        return cause
    if first["type"] == "extra_forbidden":
        parent = first["loc"][:-1]
        known = [".".join([*map(str, parent), name]) for name in _known_keys(parent)]
        # `epochs=3` most likely means `training.epochs=3`.
        same = [key for key in _all_keys(RunFields) if key.rpartition(".")[2] == first["loc"][-1]]
        if same:
            return RampartError(f"unknown key '{where}': did you mean {' or '.join(same)}?")
        return UnknownName("key", where, known)
    if first["type"] == "missing":
        return RunError(f"{where} is not set: add {where}=VALUE, or put it into the configuration.")
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if "valid tuple" in expected:
        expected = "a list such as [name, {name: name, option: value}]"
    if "dictionary" in expected:
        expected = f"a section with keys such as {where}.{_known_keys(first['loc'])[0]}"
    return InvalidArgument(where, first["input"], expected)


def _all_keys(section: Any, prefix: str = "") -> list[str]:
    keys = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += _all_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = RunFields
    for part in location:
        section = section.model_fields[str(part)].annotation
    return list(section.model_fields)
