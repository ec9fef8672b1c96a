"""The history of a run: one JSON row per epoch, written as soon as the epoch ends."""

import json
from pathlib import Path
from typing import Any

from rampart.errors import RunError
from rampart.files import write_atomic

Row = dict[str, Any]


class History:
    """The rows in `history.jsonl`; appending never rewrites earlier ones."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: Row) -> None:
        """Add the row of one epoch."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def rows(self) -> list[Row]:
        """Read all rows."""
        try:
            return [json.loads(line) for line in self._lines()]
        except json.JSONDecodeError as error:
            line = len(self.readable_rows()) + 1
            raise RunError(f"{self.path} is damaged (line {line}): {error.msg}.") from None

    def truncate(self, epochs: int) -> None:
        """Keep the first `epochs` rows, those before the checkpoint from which a run resumes."""
        rows = self.readable_rows()[:epochs]
        write_atomic(self.path, "".join(json.dumps(row) + "\n" for row in rows))

    def readable_rows(self) -> list[Row]:
        """Read all complete rows: a killed process may have left half a line at the end."""
        rows: list[Row] = []
        for line in self._lines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return rows

    def _lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
