"""The folder of a finished run as bytes, to send it from one machine to another."""

import io
import tarfile
from pathlib import Path

from rampart.errors import RunError, reason
from rampart.files import replacing_folder
from rampart.runs.lock import is_lock, writer_of


def pack(folder: Path) -> bytes:
    """Return the content of a folder, without locks."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if not is_lock(path):
                archive.add(path, path.relative_to(folder), recursive=False)
    return content.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write a packed folder, as a whole or not at all; it replaces what lies there.

    Raises:
        RunError: another process writes the folder, or it cannot be written.
    """
    if writer := writer_of(folder):
        raise RunError(f"{folder} is being written by {writer}: run the same command again later.")
    try:
        with (
            replacing_folder(folder) as scratch,
            tarfile.open(fileobj=io.BytesIO(content)) as archive,
        ):
            archive.extractall(scratch, filter="data")
    except tarfile.TarError as error:
        raise RunError(f"cannot write {folder}: {reason(error)}.") from error
