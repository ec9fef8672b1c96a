"""The history of a run: one JSON row per epoch, written as soon as the epoch ends."""

import json
import os
from pathlib import Path
from typing import Any

from rampart.checksums import parse_checked, with_checksum
from rampart.counting import counted
from rampart.errors import RunError
from rampart.files import read_bytes, write_atomic

Row = dict[str, Any]

_DO = "restore the file, or train again with --overwrite"


class History:
    """The rows in `history.jsonl`, each with a checksum; appending never rewrites earlier ones."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Row) -> None:
        """Add the row of one epoch; return when it is on disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_spell(row))
            file.flush()
            os.fsync(file.fileno())

    def rows(self) -> list[Row]:
        """Read all rows.

        Raises:
            RunError: a row is damaged; half a row at the end is one.
        """
        rows, torn = self._read()
        if torn:
            raise RunError(f"{torn}: continue the run with --resume, or {_DO}.")
        return rows

    def readable_rows(self) -> list[Row]:
        """Read all rows but half a row at the end, which a kill leaves.

        Raises:
            RunError: another row is damaged.
        """
        return self._read()[0]

    def truncate(self, epochs: int) -> None:
        """Keep the first `epochs` rows, those before the checkpoint from which a run resumes.

        The last line may be damaged, because a kill leaves half a row.

        Raises:
            RunError: another row is damaged, or one of the first `epochs` is missing.
        """
        rows, torn = self._read()
        if len(rows) < epochs:
            found = torn or f"{self.path} has {counted(len(rows), 'whole row')}"
            raise RunError(
                f"{found}, but the checkpoint comes after {counted(epochs, 'epoch')}: {_DO}."
            )
        write_atomic(self.path, "".join(map(_spell, rows[:epochs])))

    def _read(self) -> tuple[list[Row], str]:
        """Return the rows, and the damage to the last line; "" for none.

        Raises:
            RunError: another line is damaged.
        """
        rows: list[Row] = []
        lines = read_bytes(self.path).split(b"\n") if self.path.exists() else []
        if lines and not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(_parse(line))
            except ValueError as error:
                damage = f"{self.path} is damaged (line {number}: {error})"
                if number < len(lines):
                    raise RunError(f"{damage}: {_DO}.") from None
                return rows, damage
        return rows, ""


def _spell(row: Row) -> str:
    return json.dumps(with_checksum(row)) + "\n"


def _parse(line: bytes) -> Row:
    row = parse_checked(line)
    if not isinstance(row, dict):
        raise ValueError("it is not a row")
    return row
