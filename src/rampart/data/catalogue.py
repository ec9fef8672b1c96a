"""Public datasets by short name: where they come from, and how many images they must have.

The facts stand in `rampart/assets/datasets.toml`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

#: Numbers of images by the name of the split.
Counts = Mapping[str, int]


@dataclass(frozen=True)
class Source:
    """A place from which a dataset can be read.

    Attributes:
        data: its name there, such as "torch/caltech256" or "hfds/OWNER/NAME".
        images: in each split there; by default as the entry says.
        options: of the reader, such as the revision on the hub and the columns.
        rename: official names of splits, by the names of the source.
    """

    data: str
    images: Counts = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)

    @property
    def library(self) -> str:
        """The word for the source in `data.options.source`: "torch", "hub", or its name."""
        words = {"torch": "torch", "hfds": "hub"}
        return words.get(self.data.partition("/")[0], self.data)


@dataclass(frozen=True)
class Entry:
    """A public dataset.

    Attributes:
        name: short name, as in `data=cars`.
        title: full name.
        classes: number of classes.
        images: in each official split; only "train" if there is no official split.
        sources: places, the preferred one of each library first.
        license: of the images; "" if it is not known.
        homepage: of the dataset.
        paper: that introduced the dataset.
        study: images in each split of the publication (arXiv 2509.23325), if it states them.
        per_class: images of each class in the training and the validation split, where the
            publication drew its splits so; all others are in the test split.
        inferred: names of the facts that were concluded or recalled instead of read.
    """

    name: str
    title: str
    classes: int
    images: Counts
    sources: tuple[Source, ...]
    license: str = ""
    homepage: str = ""
    paper: str = ""
    study: Counts = field(default_factory=dict)
    per_class: Counts = field(default_factory=dict)
    inferred: tuple[str, ...] = ()


@cache
def catalogue() -> Mapping[str, Entry]:
    """Return all datasets by their short names."""
    text = files("rampart.assets").joinpath("datasets.toml").read_text(encoding="utf-8")
    return {name: _entry(name, facts) for name, facts in tomllib.loads(text).items()}


def _entry(name: str, facts: dict[str, Any]) -> Entry:
    sources = tuple(Source(**source) for source in facts.pop("sources"))
    return Entry(name, sources=sources, inferred=tuple(facts.pop("inferred", ())), **facts)
