"""Names that a reader takes for one, or that no text file could hold."""

import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress

from rampart.errors import DataError


def look_alike(names: Iterable[str], *, case: bool = True) -> tuple[str, str] | None:
    """Return two names that differ only in spaces at the ends, form of letters or case, or None.

    Args:
        names: to compare.
        case: whether names that differ in case look alike too.

    Example:
        >>> look_alike(["cat", "dog", "Cat "])
        ('cat', 'Cat ')
    """
    seen: dict[str, str] = {}
    for name in names:
        # An accent may be a part of the letter or a character of its own.
        key = unicodedata.normalize("NFC", name).strip()
        first = seen.setdefault(key.casefold() if case else key, name)
        if first != name:
            return first, name
    return None


def require_utf8(names: Sequence[str]) -> None:
    """Refuse names of images or classes that no table or text file could hold.

    Raises:
        DataError: a name is not UTF-8, as of a file from a machine with another encoding.
    """
    with suppress(UnicodeEncodeError):
        "".join(names).encode()
        return
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"the name {name!a} is not UTF-8: rename it.") from error
