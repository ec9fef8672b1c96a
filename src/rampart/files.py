"""Files that are there as a whole or not at all, also after a kill or a power cut."""

import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rampart.errors import RunError

#: Name of a scratch file or folder; the group is the name that it is to take.
_SCRATCH = re.compile(r"\.(.+)\.\d+\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a scratch file beside `path`; it takes the place of `path` if the block succeeds.

    Readers see the old file or the whole new one. No other writer has the same scratch name, so
    several threads, processes and machines may write the same file. The permissions are those
    that the umask gives to a new file, whoever writes it.

    Raises:
        RunError: no space, or no permission.
    """
    with _scratch(path) as scratch:
        scratch.touch()
        mode = stat.S_IMODE(scratch.stat().st_mode)
        yield scratch
        _finish(scratch, mode)
        _put(scratch, path)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Give a scratch folder beside `path`; it becomes `path` if the block succeeds.

    Nothing may lie at `path` at the end of the block. The files in the folder have the permissions
    that the umask gives to new files.

    Raises:
        RunError: no space, no permission, or something lies at `path`.
    """
    with _scratch(path) as scratch:
        # A file shows the permissions that files are to have.
        scratch.touch()
        mode = stat.S_IMODE(scratch.stat().st_mode)
        scratch.unlink()
        scratch.mkdir()
        yield scratch
        for file in scratch.iterdir():
            _finish(file, mode)
        _sync(scratch)
        _put(scratch, path)


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that readers see the old file or the whole new one.

    Raises:
        RunError: no space, or no permission.
    """
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="")


def intended_name(path: Path) -> str:
    """Return the name that a scratch file or folder was to take; of others, their own name."""
    match = _SCRATCH.fullmatch(path.name)
    return match[1] if match else path.name


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; nothing is there in the end."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A path beside `path` that nobody else has; it is removed if it is still there."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().int}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            remove(scratch)


def _finish(file: Path, mode: int) -> None:
    """Give a file its permissions, since some writers keep theirs to the owner; sync it."""
    file.chmod(mode)
    _sync(file)


def _put(scratch: Path, path: Path) -> None:
    """Rename in one move, and wait until the name is on the disk as well."""
    scratch.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
