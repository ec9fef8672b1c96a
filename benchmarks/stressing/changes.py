"""The kinds of changes that a command makes to files, and a death at one of them.

A process that writes a trace lists its changes. A process with a plan kills itself just before one
of them, as SIGKILL from outside does: nothing is cleaned up. Files that libraries write without
Python, such as weights, are not seen; kills at random moments meet those.
"""

import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart.files import intended_name

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")
_UNIQUE = re.compile(r"[0-9a-f]{8,}|\d+")


@dataclass(frozen=True)
class Death:
    """Where a process dies.

    Attributes:
        kind: of the change.
        number: of the change among those of this kind, from 1.
    """

    kind: str
    number: int


def write_trace(root: Path, file: Path) -> None:
    """From now on, add the kind of every change below `root` to a file, one on each line."""
    handle = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    _watch(root, lambda kind: os.write(handle, f"{kind}\n".encode()))


def die_at(root: Path, death: Death, died: Path) -> None:
    """Kill this process before the given change below `root`.

    Args:
        root: folder of the results.
        death: the change.
        died: a file that the process creates first, and that no other one dies for.
    """
    done = 0

    def count(kind: str) -> None:
        nonlocal done
        done += kind == death.kind
        if done == death.number and kind == death.kind:
            with suppress(FileExistsError):
                died.touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)

    _watch(root, count)


def _watch(root: Path, see: Callable[[str], object]) -> None:
    start = f"{root}{os.sep}"

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if (event == "open" and _writes(args)) or event in _CHANGES:
            path = args[0] if event != "os.rename" else args[1]
            if isinstance(path, str | os.PathLike):
                whole = os.path.abspath(path)  # noqa: PTH100 - called for every event
                if whole.startswith(start):
                    see(f"{event.removeprefix('os.')} {_kind(Path(whole))}")

    sys.addaudithook(hook)


def _writes(args: tuple[Any, ...]) -> bool:
    mode, flags = args[1], args[2]
    return bool(set(str(mode or "")) & set("wax+")) or bool(int(flags or 0) & os.O_CREAT)


def _kind(path: Path) -> str:
    """The name of a file without what is unique, and whether it is a scratch file."""
    name = intended_name(path)
    return _UNIQUE.sub("N", name) + ("" if name == path.name else " (scratch)")
