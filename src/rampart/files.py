"""Files that are there as a whole or not at all, also after a kill or a power cut."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rampart.errors import RunError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a scratch path beside `path`; it takes the place of `path` if the block succeeds.

    Readers see the old file or the whole new one. No other writer has the same scratch name, so
    several threads, processes and machines may write the same file.

    Raises:
        RunError: no space, or no permission.
    """
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().int}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        _sync(scratch)
        scratch.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that readers see the old file or the whole new one.

    Raises:
        RunError: no space, or no permission.
    """
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
