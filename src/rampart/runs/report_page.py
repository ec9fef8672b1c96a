"""A page for people in a folder: its checksum, and the checksums of the files that it shows.

Both stand in the head of the HTML report and of the model card. A figure that was edited in the
page is noticed, and so is a page that shows an older record.
"""

import hashlib
import html
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from rampart.checksums import MARK, checksum_of, parse_checked
from rampart.errors import RampartError, RunError
from rampart.files import read_bytes, read_text, write_atomic
from rampart.runs.settings_file import read_settings

_OPEN = MARK + 64 * "0"
_SEAL = re.compile(rf'<meta name="rampart-checksum" content="({MARK}[0-9a-f]{{64}})">')
_SOURCES = re.compile(r'<meta name="rampart-made-from" content="([^"]*)">')
#: Where the template puts the checksum.
SEAL = f'<meta name="rampart-checksum" content="{_OPEN}">'


def write_page(path: Path, page: str) -> None:
    """Write a page whose head holds `SEAL`, with its checksum there.

    Raises:
        RunError: the file cannot be written.
    """
    write_atomic(path, sealed(page))


def sealed(page: str) -> str:
    """Return a page whose head holds `SEAL`, with its checksum there."""
    return page.replace(_OPEN, _checksum(page), 1)


def is_page(path: Path) -> bool:
    """Whether a file is a page that Rampart wrote."""
    try:
        return _SEAL.search(read_text(path)[:20_000]) is not None
    except (OSError, ValueError):
        return False


def sources_of(folder: Path, *files: Path) -> dict[str, str]:
    """Return the checksums of the values in files, by their path from the folder of the page.

    Spaces, comments and the order of keys do not count. A missing or damaged file is left out.
    """
    paths = {Path(os.path.relpath(file, folder)).as_posix(): file for file in files}
    found = {name: _checksum_of_values(file) for name, file in paths.items()}
    return {name: known for name, known in found.items() if known}


def _checksum_of_values(file: Path) -> str:
    """Return the checksum of the values in a .json, .jsonl or .yaml file; "" if unreadable."""
    try:
        if file.suffix == ".yaml":
            return checksum_of(read_settings(file))
        lines = read_bytes(file).splitlines() if file.suffix == ".jsonl" else [read_bytes(file)]
        return checksum_of([parse_checked(line) for line in lines])
    except (OSError, ValueError, RampartError):
        return ""


def require_page(path: Path, do: str) -> None:
    """Refuse a page that was changed, or that shows other files than those beside it.

    Args:
        path: the page.
        do: what the user can do about it, as a clause.

    Raises:
        RunError: it was changed, or is older than a file that it shows.
    """
    try:
        text = read_bytes(path).decode("utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}): {do}.") from None
    stated, sources = _SEAL.search(text), _SOURCES.search(text)
    whole = stated and text.replace(stated.group(1), _OPEN, 1)
    if not stated or not whole or _checksum(whole) != stated.group(1) or not sources:
        raise RunError(f"{path} does not match its checksum, so it was changed: {do}.")
    known: Mapping[str, str] = json.loads(html.unescape(sources.group(1)))
    for name, expected in known.items():
        found = _checksum_of_values(path.parent / name)
        # A damaged file is a fault of its own.
        if found and found != expected:
            raise RunError(f"{path} shows another {name} than the one in its folder: {do}.")


def _checksum(page: str) -> str:
    return MARK + hashlib.sha256(page.encode()).hexdigest()
