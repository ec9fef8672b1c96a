"""Reading a list of ids, by which an evaluation names its images."""

from pathlib import Path

from rampart.errors import DataError
from rampart.files import read_text


def read_ids(path: str | Path) -> list[str]:
    """Return the ids in a text file, one on each line; raise `DataError` if it cannot be read."""
    try:
        lines = read_text(Path(path), "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"list of ids '{path}' cannot be read ({error}).") from error
    return [line.strip() for line in lines if line.strip()]
