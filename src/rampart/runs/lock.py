"""One writer at a time: a lock file in the folder of a run or an evaluation.

The file names the host, the process and its start. On the same host the process is looked up. On
another host, as on a shared file system of a cluster, the file's time tells: the writer renews it.
"""

import json
import math
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rampart.alive import is_alive, own_start
from rampart.errors import RunError
from rampart.files import read_text, remove_left, scratch_beside

#: Name of the lock file.
LOCK = "writer.lock"
#: Seconds between two renewals, and after which a writer on another host counts as gone.
RENEWED, GONE = 30.0, 600.0


#: Raises `RunError` if the folder was removed, moved or taken over since it was locked.
RequireHeld = Callable[[], None]


@dataclass(frozen=True)
class Writer:
    """The process that writes a folder.

    Attributes:
        host: name of its machine.
        process: its id.
        started: when the process started, in seconds since 1970; tells it from a later process
            with the same id.
        since: when it began to write, as text.
        key: differs for every lock.
    """

    host: str
    process: int
    started: float
    since: str
    key: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host} since {self.since}"


@contextmanager
def only_writer(folder: Path) -> Iterator[RequireHeld]:
    """Be the only writer of a folder during the block; yield the check that it still is.

    The folder is created; if nothing is written, it is removed again. What killed writers have left
    in it is removed.

    Raises:
        RunError: another process writes the folder, or it cannot be written.
    """
    path, new = folder / LOCK, [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        own = _lock(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}.") from error
    _remove_left(folder)
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(path, done), daemon=True)
    renewing.start()
    try:
        yield partial(_require_held, path, own)
    finally:
        done.set()
        renewing.join()
        _release(path, own)
        with suppress(OSError):
            for one in new:
                one.rmdir()


def tidy(folder: Path) -> None:
    """Remove what a writer has left in a finished folder that was killed at its very end.

    In other folders the next writer does so.
    """
    path = folder / LOCK
    with suppress(OSError):
        found = _read(path)
        if found is not None and not _is_alive(found, path):
            _remove_stale(path, found)
            _remove_left(folder)


def do_nothing() -> None:
    """The check of a folder that is not locked."""


def is_lock(path: Path) -> bool:
    """Return whether a file is a lock, or a short-lived file of one."""
    return path.name == LOCK or path.name.startswith(f".{LOCK}.")


def writer_of(folder: Path) -> Writer | None:
    """Return the process that writes a folder; None if there is none, or it is gone."""
    path = folder / LOCK
    found = _read(path)
    return found if found is not None and _is_alive(found, path) else None


def _require_held(path: Path, own: Writer) -> None:
    if _read(path) != own:
        raise RunError(
            f"{path.parent} was removed, moved or replaced while it was being written, so nothing "
            "more is written there: run the same command again."
        )


def _remove_left(folder: Path) -> None:
    """Remove what writers have left that were killed, as while they took over a stale lock."""
    remove_left(folder)
    for path in folder.glob(f".{LOCK}.*.stale"):
        found = _read(path)
        if found is not None and not _is_alive(found, path):
            path.unlink(missing_ok=True)


def _lock(path: Path) -> Writer:
    own = _this_process()
    while not _create(path, own):
        found = _read(path)
        if found is not None and _is_alive(found, path):
            raise RunError(_refusal(path, found))
        if found is None and _age(path) < RENEWED:
            if not path.exists():
                continue
            # Written without hard links, and its content is still missing.
            raise RunError(f"{path.parent} is being written by another process: try again later.")
        _remove_stale(path, found)
    return own


def _refusal(path: Path, writer: Writer) -> str:
    do = "wait until it ends, or stop it"
    if writer.host != socket.gethostname():
        do += f"; if it is gone, try again {GONE / 60:.0f} minutes after its end"
    return f"{path.parent} is being written by {writer}: {do}."


def _this_process() -> Writer:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return Writer(socket.gethostname(), os.getpid(), own_start(), since, uuid.uuid4().hex)


def _create(path: Path, own: Writer) -> bool:
    """Create the lock, complete or not at all, also on network file systems."""
    scratch = scratch_beside(path)
    text = json.dumps(asdict(own))
    scratch.write_text(text, encoding="utf-8")
    try:
        os.link(scratch, path)
    except FileExistsError:
        return False
    except OSError:
        return _create_without_links(path, text)
    finally:
        scratch.unlink(missing_ok=True)
    return True


def _create_without_links(path: Path, text: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def _read(path: Path) -> Writer | None:
    """The writer in a lock file; None without a file, or with a damaged one."""
    try:
        found = Writer(**json.loads(read_text(path)))
    except (OSError, ValueError, TypeError):
        return None
    return found if _is_whole(found) else None


def _is_whole(writer: Writer) -> bool:
    """Whether every value may be in a lock; the key becomes a part of the name of a file."""
    texts = isinstance(writer.host, str) and isinstance(writer.since, str)
    process = type(writer.process) is int and 0 < writer.process < 2**31
    started = isinstance(writer.started, float) and math.isfinite(writer.started)
    key = isinstance(writer.key, str) and re.fullmatch("[0-9a-z]+", writer.key) is not None
    return texts and process and started and key


def _remove_stale(path: Path, stale: Writer | None) -> None:
    """Remove the lock of a process that is gone, and no other one's.

    Only the holder of a second lock, named after the stale one, may remove it. A slow process that
    read the stale lock long ago finds another one there by then, and leaves it.
    """
    removing = path.with_name(f".{LOCK}.{stale.key if stale else 'damaged'}.stale")
    own = _lock(removing)
    try:
        if _read(path) == stale and (stale is not None or _age(path) >= RENEWED):
            path.unlink(missing_ok=True)
    finally:
        _release(removing, own)


def _release(path: Path, own: Writer) -> None:
    if _read(path) == own:
        path.unlink(missing_ok=True)


def _is_alive(writer: Writer, path: Path) -> bool:
    if writer.host != socket.gethostname():
        return _age(path) < GONE
    return is_alive(writer.process, writer.started)


def _age(path: Path) -> float:
    """Seconds since a file was renewed, by the clock of its file system; 0 if it is gone."""
    probe = scratch_beside(path)
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    except OSError:
        # A reader without permission to write uses its own clock.
        return time.time() - path.stat().st_mtime
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _renew(path: Path, done: threading.Event) -> None:
    while not done.wait(RENEWED):
        with suppress(OSError):
            os.utime(path)
