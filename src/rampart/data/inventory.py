"""The data that lie on this machine, counted without decoding an image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rampart.data.catalogue import Entry, catalogue
from rampart.data.datasets import EMBEDDED, is_catalogued, read, refuse_files
from rampart.data.readers.catalogued import WrongCounts, choose_source, count
from rampart.data.readers.request import Request
from rampart.data.splits import SPLIT_NAMES, Split
from rampart.errors import DataError, RampartError


@dataclass(frozen=True)
class Stock:
    """Data from one source.

    Attributes:
        source: the name of the data there.
        counts: images in each split, and "classes"; {} if the data are not on this machine.
        smallest: images of the smallest class in each split.
        notes: on how the data were read.
        fault: the reason if the data are missing, or not as they should be; "" without one.
        wrong: whether data are there, but not as they should be.
    """

    source: str
    counts: Mapping[str, int]
    smallest: Mapping[str, int]
    notes: Sequence[str] = ()
    fault: str = ""
    wrong: bool = False


def take_stock(request: Request) -> Stock:
    """Count the images of data; nothing is downloaded, and nothing decoded.

    Raises:
        RampartError: the data cannot be read.
    """
    if request.name in EMBEDDED:
        refuse_files(request.name, request.root, request.options, request.splits)
        splits = EMBEDDED[request.name](0)
        found = {name: splits[name] for name in SPLIT_NAMES}
        return _stock(request.name, found, ())
    found, notes = read(replace(request, download=False))
    return _stock(request.name, found, notes)


def take_stock_of_sources(entry: Entry, request: Request) -> list[Stock]:
    """Count the images of a dataset of the catalogue in each source, or in the one given."""
    given = request.options.get("source")
    if given is not None:
        sources = [choose_source(entry, given, request.root)]
    else:
        sources = [one for one in entry.sources if request.root or one.library != "torch"]
    stocks = []
    for source in sources:
        options = {**request.options, "source": source.data}
        try:
            stock = take_stock(replace(request, options=options))
        except RampartError as error:
            wrong = isinstance(error, WrongCounts) or not isinstance(error, DataError)
            stock = Stock(source.data, {}, {}, fault=str(error), wrong=wrong)
        stocks.append(replace(stock, source=source.data))
    return stocks


def entry_of(name: str) -> Entry | None:
    """Return the entry of a dataset of the catalogue; None for other data."""
    return catalogue()[name] if is_catalogued(name) else None


def _stock(name: str, found: Mapping[str, Split], notes: Sequence[str]) -> Stock:
    smallest = {
        split: int(np.bincount(part.labels, minlength=len(part.class_names)).min())
        for split, part in found.items()
    }
    return Stock(name, count(found), smallest, tuple(notes))
