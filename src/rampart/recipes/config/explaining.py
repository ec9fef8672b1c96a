"""Turn pydantic's errors about a configuration into one clear sentence."""

from pydantic import ValidationError

from rampart.errors import InvalidArgument, RampartError, RunError, UnknownName, nearest
from rampart.recipes.config.advising import advise
from rampart.recipes.config.suggesting import UnknownKey, full_keys, near_keys, section_of
from rampart.registry import UnknownOption
from rampart.schema.fields import RunFields
from rampart.schema.sections import Section
from rampart.value_types import expectation

Location = tuple[int | str, ...]


def explain(error: ValidationError) -> RampartError:
    """Return pydantic's first error as one clear sentence about the key that was given."""
    # A key that does not exist explains others that are missing.
    errors = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    first = errors[0]
    key, section = _place(first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidArgument):
        # A validator names its value relative to its own key.
        own = cause.renamed(".".join(filter(None, [key, cause.name])))
        return _several(own.name, own.got, own.expected) or own
    if isinstance(cause, UnknownOption):
        return _unknown_option(cause)
    if isinstance(cause, UnknownName):
        return _several(cause.place, cause.name, f"one {cause.kind}") or cause
    if isinstance(cause, RampartError):
        return cause
    if first["type"] == "extra_forbidden":
        return _unknown_key(first["loc"], key)
    if first["type"] == "missing" and key.rpartition(".")[2] != first["loc"][-1]:
        return _no_name(key, first["input"])
    if first["type"] == "missing":
        return RunError(f"{key} is not set: add {key}=VALUE.")
    expected = expectation(first["msg"])
    if "dictionary" in expected and first["loc"] != tuple(key.split(".")):
        return _no_name(key, first["input"])
    if "dictionary" in expected:
        several = _several(key, first["input"], "one name")
        return several or _no_section(key, section, first["input"])
    if first["type"] == "string_type" and isinstance(first["input"], bool | int | float):
        return _no_text(key, first["input"])
    return InvalidArgument(key, first["input"], expected, advise(key, first["input"]))


def _several(key: str, got: object, expected: str) -> InvalidArgument | None:
    """Return the error for several values where one is taken; None for other values."""
    advice = advise(key, got)
    return InvalidArgument(key, got, expected, advice) if advice else None


def _no_text(key: str, got: object) -> InvalidArgument:
    """Return the error for a name that YAML reads as a number or a boolean."""
    quoted = f'write {key}=\'"{got}"\' on a command line, "{got}" in a file'
    return InvalidArgument(key, got, "text", f"for a name {quoted}")


def _no_name(key: str, got: object) -> InvalidArgument:
    """Return the error for a part of a list that is neither a name nor has one."""
    example = f"{key}=[NAME] or {key}=[{{name: NAME, OPTION: VALUE}}]"
    return InvalidArgument(key, got, "a name for each part", f"write {example}")


def _no_section(key: str, section: type[Section] | None, got: object) -> InvalidArgument:
    """Return the error for a single value in place of a section."""
    if section is None:
        name = got if isinstance(got, str) and got.isidentifier() else "NAME"
        return InvalidArgument(key, got, "names with values", f"write {key}.{name}=VALUE")
    names = [f"{key}.{name}" for name in section.model_fields][:3]
    return InvalidArgument(key, got, f"a section with keys such as {', '.join(names)}")


def _unknown_option(error: UnknownOption) -> RampartError:
    """Return the error with the keys of other sections that the user may mean: `attack.eps`."""
    of_components = ("schedule", "objective", "attack", "evaluation.attack")
    others = [key for key in full_keys(error.option) if key.rpartition(".")[0] not in of_components]
    if others:
        error.args = (f"{error} The key {' or '.join(others)} may be meant.",)
    return error


def _unknown_key(location: Location, key: str) -> RampartError:
    parent, section = _place(location[:-1])
    word = str(location[-1])
    if "." in word and word.partition(".")[0] in (section.model_fields if section else ()):
        return _dotted(key)
    # `epochs=3` most likely means `training.epochs=3`.
    same = full_keys(word)
    if same:
        return UnknownKey(key, same)
    known = (
        [".".join(filter(None, [parent, name])) for name in section.model_fields] if section else []
    )
    near = [] if nearest(key, known, 1) else near_keys(word)
    return UnknownKey(key, near, known)


def _dotted(key: str) -> RunError:
    """Return the error for a key of the command line that stands in a file."""
    *sections, last = key.split(".")
    form = f"{last}: VALUE"
    for section in reversed(sections):
        form = f"{section}: {{{form}}}"
    return RunError(
        f"unknown key '{key}': keys with dots belong on a command line; in a file write {form}."
    )


def _place(location: Location) -> tuple[str, type[Section] | None]:
    """Return the key at a location, and its section, if it is one.

    Parts that pydantic adds below a key are left out: an index in a list, a branch of a union.
    """
    section: type[Section] | None = RunFields
    names = []
    for part in location:
        if section is None:
            break
        names.append(str(part))
        field = section.model_fields.get(str(part))
        section = section_of(field.annotation) if field else None
    return ".".join(names), section
