"""Datasets by short name, such as `cars`: read from a source of the catalogue, and counted."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rampart.data.catalogue import Counts, Entry, Source
from rampart.data.readers.request import Found, Request
from rampart.data.splits import SPLIT_NAMES, Split
from rampart.errors import DataError, InvalidArgument

#: Options of every dataset of the catalogue; the others belong to the source.
OPTIONS = ("source", "counts", "draw")


class WrongCounts(DataError):
    """A dataset that has other numbers of images or classes than its catalogue states."""


def load_catalogued(entry: Entry, request: Request, read: Callable[[Request], Found]) -> Found:
    """Return the splits of a dataset of the catalogue.

    The option "source" is "torch", "hub", or the name of other data, such as a folder. By default
    the files of torchvision are read if there is a root, and otherwise the hub. The option "counts"
    states other numbers of images, as in {"train": 8000, "test": 8041, "classes": 196}. Further
    options are those of the source.

    Args:
        entry: of the catalogue.
        request: whose name is the short name.
        read: reads the data of the source.

    Raises:
        WrongCounts: the number of images or classes is not the expected one.
        DataError: the data cannot be read.
        InvalidArgument: an option has a wrong value.
    """
    options = {key: value for key, value in request.options.items() if key not in OPTIONS}
    source = choose_source(entry, request.options.get("source"), request.root)
    asked = replace(request, name=source.data, options={**source.options, **options})
    try:
        found, notes = read(asked)
    except DataError as error:
        if not request.download:
            raise
        raise DataError(f"{str(error).rstrip('.')}{_otherwise(entry, source)}.") from error
    if not request.splits:
        found = {source.rename.get(name, name): split for name, split in found.items()}
    check_counts(entry, source, found, request.options.get("counts"))
    return found, [f"{entry.name} is read from {source.data}.", *notes]


def _otherwise(entry: Entry, source: Source) -> str:
    """Return advice to take the next source; "" if there is no other."""
    others = [one for one in entry.sources if one.data != source.data]
    others.sort(key=lambda one: one.library == source.library)
    if not others:
        return ""
    other = others[0]
    name = other.data if other.library == source.library else other.library
    root = " data.root=FOLDER" if other.library == "torch" else ""
    return f"; or read it from {other.data} by data.options.source={name}{root}"


def choose_source(entry: Entry, given: Any, root: str) -> Source:
    """Return the source of a dataset: the given one, else torchvision's with a root, else the hub.

    Args:
        entry: of the catalogue.
        given: "torch", "hub", the name of other data, or None.
        root: folder for the files of a library; "" for none.
    """
    by_library: dict[str, Source] = {}
    for source in entry.sources:
        by_library.setdefault(source.library, source)
    if given is None:
        preferred = ("torch", "hub") if root else ("hub", "torch")
        return next(by_library[name] for name in preferred if name in by_library)
    if given in by_library:
        return by_library[given]
    if not isinstance(given, str) or given in ("torch", "hub"):
        raise InvalidArgument(
            "data.options.source", given, f"{' or '.join(by_library)} or the name of other data"
        )
    return next((one for one in entry.sources if one.data == given), Source(given))


def check_counts(
    entry: Entry, source: Source, found: Mapping[str, Split], counts: Any = None
) -> None:
    """Compare the numbers of images and classes with the expected ones.

    Args:
        entry: of the catalogue.
        source: of the splits.
        found: the splits.
        counts: expected numbers that replace those of the catalogue, with "classes".

    Raises:
        WrongCounts: a number differs; the message names the differences.
        InvalidArgument: `counts` is not a mapping from splits to numbers.
    """
    expected = {**(source.images or entry.images), "classes": entry.classes}
    if counts is not None:
        expected = {"classes": entry.classes, **_require_counts(counts)}
    numbers = count(found)
    names = [*SPLIT_NAMES, "classes"]
    differences = [
        _spell(name, numbers.get(name, 0), expected.get(name, 0))
        for name in names
        if numbers.get(name, 0) != expected.get(name, 0)
    ]
    if differences:
        own = ", ".join(f"{name}: {numbers[name]}" for name in names if name in numbers)
        raise WrongCounts(
            f"{entry.name} from {source.data} has {'; '.join(differences)}. If the download is "
            "incomplete, delete it and repeat the command; otherwise write "
            f"'data.options.counts={{{own}}}', or data={source.data} to read it unchecked."
        )


def count(found: Mapping[str, Split]) -> dict[str, int]:
    """Return the number of images in each split, and of classes."""
    classes = {name for split in found.values() for name in split.class_names}
    return {**{name: len(split) for name, split in found.items()}, "classes": len(classes)}


def _spell(name: str, got: int, expected: int) -> str:
    what = "classes" if name == "classes" else f"{name} images"
    gap = f"{expected - got} missing" if got < expected else f"{got - expected} too many"
    return f"{got} {what}, expected {expected} ({gap})"


def _require_counts(counts: Any) -> Counts:
    known = {*SPLIT_NAMES, "classes"}
    if not isinstance(counts, Mapping) or not all(
        name in known and isinstance(number, int) and not isinstance(number, bool)
        for name, number in counts.items()
    ):
        raise InvalidArgument(
            "data.options.counts", counts, "numbers by split, such as {train: 8144, test: 8041}"
        )
    return counts
