"""Names of splits in data: the usual ones, and names that look like a split but are not certain."""

import re
from collections.abc import Iterable, Mapping, Set
from itertools import permutations

from rampart.data.splits import SPLIT_NAMES
from rampart.errors import DataError

#: Recognized names of splits: of folders, of splits on the hub, and in the column of a table.
KNOWN = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
#: Words in the name of a folder that is probably a split.
WORDS = {
    **KNOWN,
    **dict.fromkeys(("dev", "validate"), "validation"),
    **dict.fromkeys(("eval", "evaluation", "evaluate", "holdout", "tst"), "test"),
    "trn": "train",
}


def known_split(name: str) -> str | None:
    """Return "train", "validation" or "test" for one of its usual names, else None."""
    return KNOWN.get(name.strip().lower())


def probable_split(name: str) -> str | None:
    """Return the split that a word in the name stands for: "test" for `seg_test` or `testSet`."""
    words = re.findall("[A-Z]?[a-z]+|[A-Z]+", name)
    stems = [re.sub("(?<=..)(sets?|data|s)$", "", word.lower()) for word in words]
    return next((WORDS[stem] for stem in stems if stem in WORDS), None)


def choose_splits(
    own: Iterable[str], named: Mapping[str, str], where: str
) -> tuple[dict[str, str], list[str]]:
    """Return the name of each split in the data, and notes on the names that are not used.

    Args:
        own: the names in the data.
        named: the names that the user gives; without any, usual names are recognized.
        where: the place of the names, for error messages.

    Raises:
        DataError: a given name is not in the data, no name is usual, two mean one split, or an
            unusual name may mean a missing one.
    """
    own = list(dict.fromkeys(own))
    listed = ", ".join(name or "empty fields" for name in own)
    chosen = dict(named)
    for split, name in named.items():
        if name not in own:
            raise DataError(f"data.splits.{split}={name}: {where} has only {listed}.")
    for name in () if named else own:
        known = known_split(name)
        if known in chosen:
            raise DataError(
                f"{where} has two names for {known}: {chosen[known]} and {name}; write the right "
                f"one as data.splits.{known}."
            )
        if known:
            chosen[known] = name
    unused = [name for name in own if name not in chosen.values()]
    for name in () if named else unused:
        probable = probable_split(name)
        if probable and probable not in chosen:
            raise DataError(
                f"{where} has no usual name for {probable}, but '{name}' may be it: write "
                f"{_keys([name], chosen)}; a name without such a key is not used."
            )
    if not chosen:
        raise DataError(
            f"{where} has no split train, validation or test, only {listed}: write "
            "data.splits.train=NAME, or data.splits.test=NAME for an evaluation."
        )
    left = ", ".join(name or "rows without a split" for name in unused)
    return chosen, [f"not used of {where}: {left}."] if unused else []


def refuse_unnamed_splits(
    folders: Mapping[str, Set[str]],
    found: Mapping[str, str],
    path: object,
    classes: Set[str] = frozenset(),
) -> None:
    """Refuse folders that look like splits: by a word, or because they hold the same folders.

    Args:
        folders: the names of the folders in each folder without images of its own.
        found: the folders of the splits with usual names.
        path: of the data.
        classes: the folders in the training split, if it is found.

    Raises:
        DataError: a folder looks like a split, or holds folders of the training split while a
            split is missing.
    """
    several = {name: inside for name, inside in folders.items() if len(inside) > 1}
    suspects = {name for name in several if probable_split(name) not in {None, *found}}
    if len(found) < len(SPLIT_NAMES):
        suspects |= {name for name, inside in several.items() if len(inside & classes) > 1}
    if not found:
        pairs = permutations(several, 2)
        suspects |= {name for name, rival in pairs if len(several[name] & several[rival]) > 1}
    if not suspects:
        return
    names = sorted(suspects)
    shared = set.intersection(*(set(several[name]) for name in names)) or several[names[0]]
    otherwise = "for classes write data.splits.train=. instead"
    if found:
        otherwise = "a folder without such a key is ignored"
    raise DataError(
        f"{' and '.join(names[:3])} in '{path}' may be splits, because they hold folders such as "
        f"{' and '.join(sorted(shared)[:2])} and no images: write {_keys(names, found)}, or rename "
        f"them to train, val or test; {otherwise}."
    )


def _keys(folders: list[str], found: Mapping[str, str]) -> str:
    """Return the keys that name these folders as splits, as far as their names tell."""
    guessed = {probable_split(folder): folder for folder in reversed(folders)} | dict(found)
    named = [f"data.splits.{name}={guessed[name]}" for name in SPLIT_NAMES if name in guessed]
    return " ".join(named) or f"data.splits.train={folders[0]} data.splits.test={folders[1]}"
