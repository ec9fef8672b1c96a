"""Atomic writes: a file is complete or absent, also after a kill or a power cut.

A scratch file names the process that writes it. The next writer in the same folder removes the
scratch files of processes that were killed.
"""

import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rampart.alive import is_alive, own_start
from rampart.errors import RampartError, RunError

#: Name of a scratch file or folder. The groups are its final name and its writer: host, process and
#: start of the process.
_SCRATCH = re.compile(r"\.(.+?)\.(?:(\d+)-(\d+)-(\d+)-)?\d+\.tmp")
#: Errors of the system for a full disk, a quota that is used up and the largest file.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: The same in the words of libraries.
_FULL_TEXT = re.compile(r"No space left|StorageFull|(?:os error|code:|errno) (?:27|28|122)\b")
#: Seconds after which a scratch file of another host is left of a killed writer.
_LEFT = 3600.0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a scratch file beside `path`; it replaces `path` if the block succeeds.

    Readers see the old file or the whole new one. Scratch names are unique, so several threads,
    processes and machines may write the same file. The file gets the permissions that the umask
    gives to new files, whatever its writer chose.

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
    """Yield a scratch folder beside `path`; it becomes `path` if the block succeeds.

    `path` must not exist at the end of the block. The files in the folder get the permissions that
    the umask gives to new files.

    Raises:
        RunError: no space, no permission, or `path` exists.
    """
    with _scratch(path) as scratch:
        # A new file shows the permissions that the umask gives.
        scratch.touch()
        mode = stat.S_IMODE(scratch.stat().st_mode)
        scratch.unlink()
        scratch.mkdir()
        yield scratch
        for file in scratch.iterdir():
            _finish(file, mode)
        _sync(scratch)
        _put(scratch, path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a scratch folder beside `path`; it is removed after the block.

    Raises:
        RunError: no space, or no permission.
    """
    with _scratch(path) as scratch:
        scratch.mkdir()
        yield scratch


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a scratch folder beside `path`; it replaces `path` if the block succeeds.

    Raises:
        RunError: no space, or no permission.
    """
    with _scratch(path) as scratch:
        scratch.mkdir()
        yield scratch
        remove(path)
        _put(scratch, path)


class NotAFileError(RunError, OSError):
    """A device, a pipe or a socket in place of a file; reading it may never end."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is a device, a pipe or a socket, and reading it may never end: replace it by "
            "a file."
        )
        self._path = path
        #: What readers quote of an `OSError`.
        self.strerror = "it is a device, a pipe or a socket, not a file"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle, as from a worker process to its parent."""
        return type(self), (self._path,)


def require_file(path: Path) -> None:
    """Refuse a device, a pipe or a socket, because reading it may never end.

    Every file that a user or a stranger may have put there is read after this check. A link to a
    file passes, and so does a folder, which the reader itself refuses.

    Raises:
        OSError: the path does not exist.
        NotAFileError: it is no file.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise NotAFileError(path)


def read_text(path: Path, encoding: str = "utf-8", errors: str | None = None) -> str:
    """Return the text of a file.

    Raises:
        OSError: it cannot be read, or is no file (`require_file`).
        UnicodeDecodeError: it is not text in this encoding.
    """
    require_file(path)
    return path.read_text(encoding, errors)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; raise `OSError` as `read_text`."""
    require_file(path)
    return path.read_bytes()


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that readers see the old file or the whole new one.

    Raises:
        RunError: no space, or no permission.
    """
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="")


def intended_name(path: Path) -> str:
    """Return the final name of a scratch file or folder; for any other path, its own name."""
    match = _SCRATCH.fullmatch(path.name)
    return match[1] if match else path.name


def is_scratch(path: Path) -> bool:
    """Whether a file or folder is a scratch file of a writer."""
    return _writer(path) is not None


def scratch_beside(path: Path) -> Path:
    """Return a new name beside `path` for a file of this process that does not live long."""
    start, unique = round(own_start()), uuid.uuid4().int
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{start}-{unique}.tmp")


def remove_left(folder: Path) -> None:
    """Remove the scratch files and folders that killed writers have left in a folder."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            if _is_left(path):
                remove(path)


def require_output_folder(path: Path) -> None:
    """Refuse an output folder that is a file or cannot be written, before the work, not after it.

    Raises:
        RunError: the path is a file, or lies where no folder can be made.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"output folder {path} is a file: choose another path.")
    parent = path.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise RunError(
            f"output folder {path} cannot be written ({parent} is not a folder that you "
            "may write to): choose another with --output."
        )


def is_disk_full(error: BaseException) -> bool:
    """Whether a library that could not write a file met a full disk, in whatever words."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    text = str(error)
    # torch counts the bytes that it has written, and hides the error of the system.
    return "enforce fail at inline_container" in text or _FULL_TEXT.search(text) is not None


def why_unwritten(error: BaseException) -> str:
    """Return why a file could not be written, as a clause."""
    if is_disk_full(error):
        return "No space left on device, or the quota is used up"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def remove(path: Path) -> None:
    """Delete a file, or a folder with its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def move(path: Path, target: Path) -> None:
    """Give a file or a folder another name on the same disk, which no folder with content has."""
    path.rename(target)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks; raise `OSError` as `read_text`."""
    require_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Yield a unique path beside `path`; delete it afterwards if it still exists."""
    scratch = scratch_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left(path.parent)
        yield scratch
    except RampartError:
        raise
    except Exception as error:
        if not (isinstance(error, OSError) or is_disk_full(error)):
            raise
        raise RunError(f"cannot write {path}: {why_unwritten(error)}.") from error
    finally:
        with suppress(OSError):
            remove(scratch)


def _writer(path: Path) -> tuple[int, int, int] | None:
    """Return host, process and start of the writer of a scratch file; None for other files."""
    match = _SCRATCH.fullmatch(path.name)
    if match is None or match[2] is None:
        return None
    return int(match[2]), int(match[3]), int(match[4])


def _is_left(path: Path) -> bool:
    """Whether a file is a scratch file whose writer is gone."""
    writer = _writer(path)
    if writer is None:
        return False
    host, process, started = writer
    if host != _host():
        return time.time() - path.stat().st_mtime > _LEFT
    return not is_alive(process, started)


def _host() -> int:
    return zlib.crc32(socket.gethostname().encode())


def _finish(file: Path, mode: int) -> None:
    """Set a file's permissions, because some writers allow only the owner, and sync it."""
    file.chmod(mode)
    _sync(file)


def _put(scratch: Path, path: Path) -> None:
    """Rename atomically, and wait until the new name is on the disk."""
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
