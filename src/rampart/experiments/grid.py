"""The axes of a study, whose product gives its tasks, and the parts of this grid."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from rampart.errors import InvalidArgument
from rampart.experiments.coordinates import Coordinates, spell_coordinates
from rampart.experiments.run_figures import RunFigures
from rampart.experiments.search_budgets import SEARCH_COLUMN
from rampart.recipes.config.suggesting import is_key, near_keys

Overrides = tuple[str, ...]
#: A part of the grid: the names of values by axis, with `method` and `seed` as further axes.
Part = dict[str, tuple[str, ...]]

#: Axes that stand for a key.
_STAND_FOR = {"backbone": "model.name", "dataset": "data.name", "eps": "threat.eps"}
#: Columns of results.csv, which no axis may be called.
_COLUMNS = (*(one for one in RunFigures._fields if one != "coordinates"), SEARCH_COLUMN)


@dataclass(frozen=True)
class Task:
    """One task of a study: a value of every axis.

    Attributes:
        coordinates: the values.
        settings: of all values, in the order of the axes.
    """

    coordinates: Coordinates
    settings: Overrides

    @property
    def name(self) -> str:
        """The names of the values, such as "vit, aircraft, 4/255"."""
        return spell_coordinates(self.coordinates)


def tasks_of(axes: Mapping[str, Mapping[str, Overrides]]) -> Iterator[Task]:
    """Yield the product of the axes; the last axis changes fastest."""
    for values in product(*(axis.items() for axis in axes.values())):
        names = [name for name, _ in values]
        settings = tuple(one for _, some in values for one in some)
        yield Task(dict(zip(axes, names, strict=True)), settings)


def is_within(part: Part, coordinates: Coordinates) -> bool:
    """Return whether a run lies in a part of the grid."""
    return all(coordinates[axis] in values for axis, values in part.items())


def read_axes(axes: Any) -> Any:
    """Return axes as mappings of names to settings; a list gives values of one key.

    Raises:
        InvalidArgument: a name that no axis may have, or a list whose name is no key.
    """
    if not isinstance(axes, Mapping):
        return axes
    return {name: _read_axis(name, values) for name, values in axes.items()}


def _read_axis(name: str, values: Any) -> Any:
    place = f"axes.{name}"
    if name in _COLUMNS:
        expected = f"another name, because results.csv has a column {name}"
        raise InvalidArgument("axes", name, expected)
    if not isinstance(values, list | Mapping):
        expected = "a list of values, or a mapping of names to settings"
        raise InvalidArgument(place, values, expected, f"for example {name}: [{values}]")
    if not values:
        raise InvalidArgument(place, "", "at least one value")
    return _read_list(name, values) if isinstance(values, list) else values


def _read_list(name: str, values: list[Any]) -> dict[str, list[str]]:
    key = _STAND_FOR.get(name, name)
    if not is_key(key):
        near = ", ".join(["backbone, dataset, eps", *near_keys(name.rpartition(".")[2])])
        raise InvalidArgument(
            "axes",
            name,
            f"a key of the configuration as the name of a list, such as {near}",
            f"or a mapping of names to settings, {name}: {{first: [key=value], ...}}",
        )
    for value in values:
        if isinstance(value, list | Mapping):
            do = f"write a mapping of names to settings, {name}: {{first: [key=value], ...}}"
            raise InvalidArgument(f"axes.{name}", value, "a single value", do)
    names = [name_of(value) for value in values]
    if len(set(names)) < len(names):
        raise InvalidArgument(f"axes.{name}", values, "each value once")
    # JSON is YAML in which no text can be read as something else.
    texts = [json.dumps(value, ensure_ascii=False) for value in values]
    return {one: [f"{key}={text}"] for one, text in zip(names, texts, strict=True)}


def read_part(part: Any) -> Any:
    """Return a part of the grid with a list of names for every axis."""
    if not isinstance(part, Mapping):
        return part
    return {
        axis: [name_of(one) for one in (values if isinstance(values, list) else [values])]
        for axis, values in part.items()
    }


def name_of(value: Any) -> str:
    """Return the name of a value: as it is written in the file."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
