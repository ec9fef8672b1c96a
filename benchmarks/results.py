"""Rows of a long benchmark, written as they come, and its work in several processes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Rows:
    """A file of JSON lines; several processes may add to it, and a later command goes on."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> list[Row]:
        """Return the rows so far; half a row is that of a command that was killed."""
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_text("utf-8").split("\n")[:-1]]

    def add(self, row: Row) -> None:
        """Write a row."""
        with self.file.open("a", encoding="utf-8") as opened:
            opened.write(json.dumps(row) + "\n")


def in_processes(count: int, work: Callable[[int], None]) -> None:
    """Do the parts 0 to `count` - 1 of some work in forked processes, and wait for them."""
    children = []
    for part in range(count):
        child = os.fork()
        if not child:
            status = 1
            try:
                work(part)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    if any(statuses):
        raise SystemExit("a process of the benchmark has failed")
