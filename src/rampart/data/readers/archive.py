"""The members of a tar, of which none may be missing.

Python's reader takes the first damaged header, or the place where a tar was cut off, for its end.
So the end is checked: POSIX ends a tar by two blocks of zeros, and only zeros may follow.
"""

import tarfile
from pathlib import Path

from rampart.errors import DataError, reason
from rampart.files import require_file

#: The end of a tar.
_END = 2 * tarfile.BLOCKSIZE
_DO = "copy it again, or pack it again by tar"
#: The name by which a header shows that a file is a tar, and its place.
_MAGIC, _AT = b"ustar", 257
_CHUNK = 2**20


def members_of(path: Path) -> list[tarfile.TarInfo]:
    """Return the members of an uncompressed tar, all of which lie inside it.

    Raises:
        OSError: there is no such file.
        tarfile.TarError: the file is not an uncompressed tar.
        DataError: the tar is cut off or damaged, or holds a sparse file, whose bytes are not stored
            one after another.
    """
    require_file(path)
    try:
        with tarfile.open(path, mode="r:") as archive:
            members = _read_all(archive)
            end = archive.offset
    # For damage it raises errors of many kinds.
    except Exception as error:
        if not _begins_as_tar(path):
            raise tarfile.ReadError(reason(error)) from error
        raise _damaged(path, reason(error)) from error
    _require_end(path, end)
    for member in members:
        if member.issparse():
            raise DataError(
                f"'{path}' holds the sparse file {member.name!a}: pack it again without --sparse."
            )
    return members


def _read_all(archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    while (member := archive.next()) is not None:
        if member.size < 0 or archive.offset <= member.offset:
            raise tarfile.ReadError(f"the member at byte {member.offset} has a negative size")
        members.append(member)
    return members


def _require_end(path: Path, end: int) -> None:
    """Refuse a tar in which the last header that was read is not followed by the end."""
    with path.open("rb") as file:
        file.seek(end)
        found = file.read(_END)
        if len(found) < _END and not found.strip(b"\0"):
            raise _damaged(path, f"it ends at byte {end + len(found)} without the end of a tar")
        if found.strip(b"\0"):
            raise _damaged(path, f"the header at byte {end} is damaged")
        while found := file.read(_CHUNK):
            if found.strip(b"\0"):
                raise _damaged(path, f"there are bytes behind its end at byte {end + _END}")


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"'{path}' is cut off or damaged ({why}): {_DO}.")


def _begins_as_tar(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(tarfile.BLOCKSIZE)[_AT : _AT + len(_MAGIC)] == _MAGIC
