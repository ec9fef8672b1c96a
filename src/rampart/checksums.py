"""Checksums (SHA-256) of what is written: a changed or damaged file is noticed when it is read.

A JSON object holds its own under the key "checksum", over its values: spaces do not count. A folder
of other files holds checksums.json, over their bytes. Files without a checksum are read as they
are, because older versions wrote none. No flipped bit makes a file look like those: a checksum is
recognized by its key and, without it, by the start of its value.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rampart.errors import RunError
from rampart.files import checksum, read_bytes

#: The key of a checksum, and the start of its value.
KEY, MARK = "checksum", "sha256:"
#: The file with the checksums of the others in its folder.
LISTING = "checksums.json"
#: What to do about a changed file of a model, which a user may have changed.
KEEP = f"restore it; to keep a change that you made, delete {LISTING}"


def checksum_of(value: Any) -> str:
    """Return the checksum of a plain value, whatever the order of its keys."""
    # As it is read: keys become text, and tuples lists.
    plain = json.loads(json.dumps(value))
    return MARK + hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content with its checksum as the last key."""
    return {**content, KEY: checksum_of(content)}


def has_checksum(content: Mapping[str, Any]) -> bool:
    """Whether the content has a checksum, or a damaged one."""
    marked = (isinstance(value, str) and value.startswith(MARK) for value in content.values())
    return KEY in content or any(marked)


def without_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content that was given to `with_checksum`.

    Raises:
        ValueError: the content does not match its checksum; the message is a clause.
    """
    if not has_checksum(content):
        return dict(content)
    rest = {key: value for key, value in content.items() if key != KEY}
    if content.get(KEY) != checksum_of(rest):
        raise ValueError("it does not match its checksum")
    return rest


def parse_checked(text: str | bytes) -> Any:
    """Return the value of a JSON text, an object without its checksum.

    Raises:
        ValueError: the text is not JSON in UTF-8, or does not match its checksum; the message is a
            clause.
    """
    try:
        value = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        where = f" of line {error.lineno}" if error.lineno > 1 else ""
        raise ValueError(f"it is not JSON at character {error.colno}{where}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return without_checksum(value) if isinstance(value, dict) else value


def read_checked(path: Path, do: str) -> Any:
    """Return the value of a JSON file, an object without its checksum.

    Args:
        path: the file.
        do: what the user can do about damage, as a clause.

    Raises:
        RunError: the file cannot be read, is not JSON, or does not match its checksum.
    """
    try:
        return parse_checked(read_bytes(path))
    except ValueError as error:
        raise RunError(f"{path} is damaged or was changed ({error}): {do}.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.") from error


def list_checksums(folder: Path, names: Iterable[str]) -> str:
    """Return the text of checksums.json for some files in a folder."""
    content = {name: MARK + checksum(folder / name) for name in names}
    return json.dumps(with_checksum(content), indent=1) + "\n"


def require_unchanged(path: Path, do: str) -> None:
    """Refuse a file that differs from its checksum in the checksums.json beside it, if it has one.

    Args:
        path: the file, or a folder for all of its listed files. A file may be missing.
        do: what the user can do about damage, as a clause.

    Raises:
        RunError: a file has changed, one of a folder is missing, or checksums.json is damaged.
    """
    if path.is_dir():
        names, folder = None, path
    else:
        names, folder = {path.name} if path.exists() else set(), path.parent
    for name, expected in listed_checksums(folder, do).items():
        if names is None or name in names:
            require_checksum(folder / name, expected.removeprefix(MARK), LISTING, do)


def listed_checksums(folder: Path, do: str) -> dict[str, str]:
    """Return the checksums of the files in a folder, by name; {} without checksums.json."""
    path = folder / LISTING
    content = read_checked(path, do) if path.is_file() else {}
    named = content.items() if isinstance(content, dict) else ()
    # Other software may have written a file of this name.
    return {name: one for name, one in named if isinstance(one, str) and one.startswith(MARK)}


def require_checksum(path: Path, expected: str, where: str, do: str) -> None:
    """Refuse a file without this SHA-256, which the file `where` states; arguments as above."""
    try:
        found = checksum(path)
    except FileNotFoundError:
        raise RunError(f"{path} is missing: {do}.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.") from error
    if found != expected:
        raise RunError(
            f"{path} does not match its checksum in {where}, so it is damaged or was changed: {do}."
        )
