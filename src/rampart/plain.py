"""Plain values from text: the one place where a configuration enters, in YAML or JSON.

A plain value is null, a boolean, a number, text, or a list or mapping of plain values. Text is read
as in YAML 1.2: only true and false are booleans, 1e-3 is a number, 010 is ten, and a date is text.
The names in a mapping are text, as they are written.
"""

import copy
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from rampart.errors import InvalidArgument, RampartError, RunError
from rampart.files import read_text

#: A value with more levels or parts than these is a mistake or an attack on the reader.
MAX_DEPTH, MAX_PARTS = 30, 100_000
#: A JSON file may list every image of a dataset.
MAX_JSON_PARTS = 100_000_000
#: Integers are below this, as in 64 bits.
MAX_INTEGER = 2**63

_KINDS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)"
    r"|\.(nan|NaN|NAN)",
    "merge": r"<<",
}


class NotPlain(RampartError, ValueError):
    """Text that is not YAML of plain values; the message says where and why."""


class _NotYaml(NotPlain):
    """Text that breaks the rules of YAML."""


class _Rules(yaml.constructor.SafeConstructor):
    """The rules of YAML 1.2; refuses a name that occurs twice in a mapping."""

    def read_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        self._require_distinct(node)
        self.flatten_mapping(node)
        return {self._name(key): self.construct_object(one, deep) for key, one in node.value}

    def _require_distinct(self, node: yaml.MappingNode) -> None:
        names = [self._name(key) for key, _ in node.value]
        for place, (key, _) in enumerate(node.value):
            if names[place] in names[:place]:
                line = key.start_mark.line + 1
                raise NotPlain(f"'{names[place]}' occurs twice (line {line}): write it once")

    def _name(self, key: yaml.Node) -> str:
        if not isinstance(key, yaml.ScalarNode):
            raise NotPlain(f"a name is a list or a mapping (line {key.start_mark.line + 1})")
        return str(key.value)

    def read_integer(self, node: yaml.ScalarNode) -> int:
        text = str(node.value)
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        # Python refuses to read a number of thousands of digits.
        number = int(text, base) if len(text) < 100 else MAX_INTEGER
        if abs(number) >= MAX_INTEGER:
            raise NotPlain(f"the number {_short(text)} has more than 64 bits")
        return number


def _construct_mapping(reader: _Rules, node: yaml.MappingNode) -> Any:
    # In two steps, so that a mapping may contain itself until `_require_plain` refuses it.
    found: dict[str, Any] = {}
    yield found
    found.update(reader.read_mapping(node))


def _add_rules(cls: Any) -> None:
    cls.yaml_implicit_resolvers = {}
    for kind, pattern in _KINDS.items():
        cls.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), None)
    cls.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
    cls.add_constructor("tag:yaml.org,2002:int", _Rules.read_integer)


class _Reader(_Rules, yaml.SafeLoader):
    """Reads what people write."""


class _FastReader(_Rules, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads by libyaml where it is installed: five times as fast, but some text differently."""


_add_rules(_Reader)
_add_rules(_FastReader)


class _Writer(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would read as something else."""


_Writer.yaml_implicit_resolvers = {
    first: list(kinds) for first, kinds in yaml.SafeDumper.yaml_implicit_resolvers.items()
}
for _kind in ("int", "float"):
    _Writer.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_KINDS[_kind]})$"), list("-+.0123456789")
    )


def read_plain(text: str, *, nul: bool = True) -> Any:
    """Return the value of a YAML text.

    Args:
        text: YAML.
        nul: whether texts may hold the character NUL, which no path can.

    Raises:
        NotPlain: the text is not YAML, or not a plain value.
    """
    return _read(text, _Reader, nul=nul)


def read_written(text: str) -> Any:
    """Return the value of a text of `write_plain` fast; the caller compares it with its checksum.

    Raises:
        NotPlain: it is not such a text.
    """
    return _read(text, _FastReader, nul=False)


def _read(text: str, reader: type[_Reader | _FastReader], *, nul: bool) -> Any:
    try:
        value = yaml.load(text, reader)
        _require_plain(value, nul=nul)
    except yaml.YAMLError as error:
        raise _NotYaml(_explain(error)) from None
    except NotPlain:
        raise
    except RecursionError:
        raise NotPlain(f"it is nested more than {MAX_DEPTH} levels deep") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        # A tag such as `!!bool` on a value of another kind.
        raise NotPlain("a value does not fit its tag") from None
    return value


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        OSError: the file cannot be read, or is a device or a pipe.
        ValueError: it is not JSON of plain values in UTF-8.
    """
    try:
        value = json.loads(read_text(path))
    except RecursionError:
        raise NotPlain(f"it is nested more than {MAX_DEPTH} levels deep") from None
    _require_plain(value, MAX_JSON_PARTS)
    return value


def read_file(path: Path, what: str) -> Any:
    """Return the value of a YAML file; arguments and errors as `read_plain_file`."""
    return read_plain_file(path, what)[1]


def read_plain_file(path: Path, what: str) -> tuple[str, Any]:
    """Return the text and the value of a YAML file.

    Args:
        path: the file.
        what: the word for it in errors, such as "configuration".

    Raises:
        RunError: the file cannot be read, or is not YAML of plain values.
    """
    try:
        text = read_text(path)
        return text, copy.deepcopy(_value_of(text))
    except FileNotFoundError:
        raise RunError(f"{what} {path} does not exist.") from None
    except IsADirectoryError:
        raise RunError(f"{what} {path} is a folder: give a YAML file.") from None
    except UnicodeDecodeError as error:
        raise RunError(f"{what} {path} is not UTF-8 text ({error.reason}).") from None
    except OSError as error:
        raise RunError(f"{what} {path} cannot be read: {error.strerror}.") from None
    except NotPlain as error:
        raise RunError(f"{what} {path} is not valid YAML: {error}.") from None


@lru_cache(maxsize=8)
def _value_of(text: str) -> Any:
    """Return the value of a file's text; a command reads some files several times, YAML slowly."""
    return read_plain(text, nul=False)


@lru_cache(maxsize=1024)
def _value_of_setting(text: str) -> Any:
    """Return the value of a setting; the runs of a study share most of them."""
    return read_plain(text, nul=False)


def read_value(key: str, text: str) -> Any:
    """Return the value in `key=text`; text that is not YAML, such as some paths, stands for itself.

    Raises:
        InvalidArgument: a value that is not plain, or that begins like a list, a mapping or a
            quoted text and does not end like one.
    """
    require_text(key, text)
    try:
        return copy.deepcopy(_value_of_setting(text))
    except NotPlain as error:
        if isinstance(error, _NotYaml) and not text.lstrip().startswith(tuple("[{\"'!&")):
            return text
        raise InvalidArgument(key, text, f"a value in YAML ({error})") from None


def require_text(key: str, text: str) -> None:
    """Refuse text that no file or path can hold: bytes that are not UTF-8, or a NUL."""
    if _cannot_be_written(text) or "\0" in text:
        raise InvalidArgument(key, text, "text in UTF-8, without the character NUL")


def write_plain(value: Any) -> str:
    """Return YAML from which `read_plain` makes an equal value."""
    return yaml.dump(value, Dumper=_Writer, sort_keys=False)


def _explain(error: yaml.YAMLError) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if not problem or mark is None:
        return " ".join(str(error).split())
    return f"{problem} in line {mark.line + 1}, column {mark.column + 1}"


def _require_plain(value: Any, largest: int = MAX_PARTS, *, nul: bool = False) -> None:
    """Refuse a value that is too deep or too large, or contains itself or another type."""
    waiting, parts = [(value, 0)], 0
    while waiting:
        one, depth = waiting.pop()
        parts += 1
        if depth > MAX_DEPTH:
            raise NotPlain(f"it is nested more than {MAX_DEPTH} levels deep")
        if parts > largest:
            raise NotPlain(f"it has more than {largest:,} parts")
        if isinstance(one, dict):
            waiting += [(inner, depth + 1) for pair in one.items() for inner in pair]
        elif isinstance(one, list):
            waiting += [(inner, depth + 1) for inner in one]
        elif isinstance(one, str) and _cannot_be_written(one):
            raise NotPlain("a text holds a surrogate, which is half a character")
        elif isinstance(one, str) and not nul and "\0" in one:
            raise NotPlain("a text holds the character NUL")
        elif one is not None and not isinstance(one, bool | int | float | str):
            raise NotPlain(f"a value is a {type(one).__name__}, not a number or text")


def _cannot_be_written(text: str) -> bool:
    """Whether a text holds a surrogate: half a character, which no file in UTF-8 can hold."""
    return any("\ud800" <= one <= "\udfff" for one in text)


def _short(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:8]}... ({len(text):,} digits)"
