"""A copy of a folder with damage to one file, and the commands that read it."""

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import yaml

from benchmarks.fuzzing.attempts import Outcome, attempt
from benchmarks.fuzzing.cases import Case, Kind
from benchmarks.fuzzing.damage import damage
from rampart.errors import RampartError

#: Returns what a command has found, from the folder in which it worked, and its outcome.
Find = Callable[[Path, Outcome], Any]
#: The part of a name that is unique to a file.
_UNIQUE = re.compile(r"[0-9a-f-]{20,}")


@dataclass(frozen=True)
class Reader:
    """A command that reads a folder, and what its success means.

    Attributes:
        words: of the command, which works beside the folder.
        is_right: tells from the folder in which it worked, its outcome, and whether the damage
            has changed a value in the file, whether it was right to succeed.
    """

    words: tuple[str, ...]
    is_right: Callable[[Path, Outcome, bool], bool]


def without_promise(folder: Path, *words: str) -> Reader:
    """Return a reader of files that nobody has given a checksum."""
    _try(folder, words)
    return Reader(words, lambda place, outcome, changed: True)


def refusing(folder: Path, *words: str) -> Reader:
    """Return a reader that has to refuse every changed value."""
    _try(folder, words)
    return Reader(words, lambda place, outcome, changed: not changed)


def agreeing(folder: Path, find: Find, *words: str) -> Reader:
    """Return a reader that may succeed if it finds the same as without the damage.

    Args:
        folder: without damage.
        find: what is compared.
        words: of the command.
    """
    expected = find(*_try(folder, words))

    def is_right(place: Path, outcome: Outcome, changed: bool) -> bool:
        try:
            return bool(find(place, outcome) == expected)
        except RampartError:
            # A damaged file among the results.
            return False

    return Reader(words, is_right)


def _try(folder: Path, words: Sequence[str]) -> tuple[Path, Outcome]:
    """Try a command on a copy of a folder; it has to work, or its attempts would show nothing."""
    place = folder.parent / f"{folder.name}-{words[0]}"
    shutil.copytree(folder, place / folder.name, symlinks=True)
    outcome = attempt(words, place)
    if outcome.status or outcome.fault:
        raise SystemExit(f"{' '.join(words)} failed without damage: {outcome.err}")
    return place, outcome


def printed(place: Path, outcome: Outcome) -> str:
    """Find what a command has printed."""
    return outcome.out


def damaged_copies(folder: Path, files: Iterable[Path], *readers: Reader) -> dict[str, Kind]:
    """Return the kinds of a folder's files, one of which is damaged; any of the readers is tried.

    Args:
        folder: is copied for every case.
        files: that may be damaged, relative to the folder.
        readers: commands that read the folder.
    """
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        kinds[_kind(folder.name, file)].append(file)
    return {name: partial(_damaged_copy, folder, some, readers) for name, some in kinds.items()}


def _kind(folder: str, file: Path) -> str:
    """Return the name of a kind of files: without folders, and parts of names, of one run."""
    *above, name = file.parts
    return "/".join([folder, *above[:1], _UNIQUE.sub("N", name)])


def _damaged_copy(
    folder: Path, files: Sequence[Path], readers: Sequence[Reader], random: Random, place: Path
) -> Case:
    file, reader = random.choice(files), random.choice(readers)
    copy = place / folder.name
    shutil.copytree(folder, copy, symlinks=True)
    damage(random, copy / file)
    changed = _values(copy / file) != _values(folder / file)
    return Case(list(reader.words), lambda outcome: reader.is_right(place, outcome, changed))


def _values(file: Path) -> Any:
    """Return the values in a file of text, whatever its spaces; the bytes of any other."""
    content = file.read_bytes()
    try:
        if file.suffix == ".json":
            return json.loads(content)
        if file.suffix == ".jsonl":
            return [json.loads(line) for line in content.splitlines()]
        if file.suffix == ".yaml":
            return yaml.safe_load(content)
    except (ValueError, RecursionError, yaml.YAMLError):
        pass
    return content
