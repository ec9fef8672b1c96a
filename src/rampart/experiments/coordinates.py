"""Where a run lies in the grid of a study."""

from collections.abc import Mapping

#: The name of a value by the name of its axis.
Coordinates = dict[str, str]


def spell_coordinates(coordinates: Mapping[str, str]) -> str:
    """Return the name of a task: the names of its values, such as "vit, aircraft, 4/255"."""
    return ", ".join(coordinates.values())
