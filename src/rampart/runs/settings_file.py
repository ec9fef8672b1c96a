"""The settings of a run as YAML for people, with a checksum in the first line.

The checksum is that of the values: comments, spaces and the order of the keys may change.
"""

import copy
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from rampart.checksums import KEY, MARK, checksum_of
from rampart.errors import RunError
from rampart.files import read_text, write_atomic
from rampart.plain import read_plain_file, read_written, write_plain

_FIRST = re.compile(rf"# {KEY}: ({MARK}[0-9a-f]{{64}})\b.*")
_HINT = "of the settings below; change one by KEY=VALUE on the command line"


def write_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a run.

    Raises:
        RunError: the file cannot be written.
    """
    text = f"# {KEY}: {checksum_of(settings)} {_HINT}\n{write_plain(settings)}"
    write_atomic(path, text)


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of a run.

    Raises:
        RunError: the file is missing or damaged, or a setting was changed.
    """
    with suppress(OSError, ValueError):
        # A copy, because the cache keeps the value for the next reader.
        return copy.deepcopy(_as_written(read_text(path)))
    text, settings = read_plain_file(path, "configuration")
    if not isinstance(settings, dict):
        raise RunError(f"{path} is not the configuration of a run: restore it, or train again.")
    if has_checksum_line(text) and checksum_of(settings) != _stated(text):
        raise RunError(
            f"{path} does not match the checksum in its first line, so it is damaged or was "
            "changed: restore it, and give changes as KEY=VALUE on the command line. To keep a "
            "change that you made, delete the first line."
        )
    return settings


@lru_cache(maxsize=8)
def _as_written(text: str) -> dict[str, Any]:
    """Return the settings fast; raise `ValueError` unless their checksum is right."""
    stated = _stated(text)
    settings = read_written(text) if stated else None
    if not isinstance(settings, dict) or checksum_of(settings) != stated:
        raise ValueError("the checksum is missing or wrong")
    return settings


def has_checksum_line(text: str) -> bool:
    """Whether the first line holds a checksum, or a damaged one."""
    first = text.partition("\n")[0]
    return KEY in first or MARK in first or _HINT in first


def _stated(text: str) -> str:
    match = _FIRST.fullmatch(text.partition("\n")[0])
    return match[1] if match else ""
