"""Names of classes that a reader takes for one."""

import unicodedata
from collections.abc import Iterable


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
