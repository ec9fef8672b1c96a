"""A figure over T1 and T2 as a map of colors, with published values in brackets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rampart.reports.pictures import save_picture, set_headline, styled
from rampart.reports.style import LOOK

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Tile:
    """One tile: the mean of ours and the published value as fractions, None where missing."""

    ours: float | None
    published: float | None = None


#: Tiles by T1 and T2.
Tiles = Mapping[tuple[float, float], Tile]


def save_heat_map(maps: Mapping[str, Tiles], path: str | Path, title: str = "") -> None:
    """Write one panel per figure, T1 to the right and T2 upwards.

    Args:
        maps: the tiles by the name of the figure.
        path: a file that ends in .png, .svg or .pdf.
        title: above all panels.

    Raises:
        InvalidArgument: another file ending.
        RunError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    starts, ends = (
        sorted({place[axis] for tiles in maps.values() for place in tiles}) for axis in (0, 1)
    )
    look = {**LOOK, "axes.grid": False}
    with styled(look):
        size = ((0.62 * len(starts) + 1.0) * len(maps) + 0.6, 0.5 * len(ends) + 1.6)
        figure = Figure(figsize=(max(6.4, size[0]), size[1]), layout="constrained")
        grid = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
        for axes, (name, tiles) in zip(grid, maps.items(), strict=True):
            _draw(axes, tiles, starts, ends)
            axes.set_title(name, loc="left", fontsize="medium")
        grid[0].set_ylabel("T2, epoch of 50")
        figure.supxlabel("T1, epoch of 50; in brackets the published value", fontsize="medium")
        set_headline(figure, title)
        save_picture(figure, path)


def _draw(axes: "Axes", tiles: Tiles, starts: list[float], ends: list[float]) -> None:
    values = np.full((len(ends), len(starts)), np.nan)
    for (start, end), tile in tiles.items():
        if tile.ours is not None:
            values[ends.index(end), starts.index(start)] = 100 * tile.ours
    axes.imshow(values, origin="lower", cmap="viridis", vmin=0, vmax=100, aspect="auto")
    for (start, end), tile in tiles.items():
        dark = tile.ours is not None and tile.ours < 0.6
        color = "white" if dark else "black"
        place = (starts.index(start), ends.index(end))
        axes.text(*place, _spell(tile), ha="center", va="center", fontsize=7.5, color=color)
    axes.set_xticks(range(len(starts)), [f"{one:g}" for one in starts])
    axes.set_yticks(range(len(ends)), [f"{one:g}" for one in ends])


def _spell(tile: Tile) -> str:
    ours = "" if tile.ours is None else f"{100 * tile.ours:.1f}"
    published = "" if tile.published is None else f"({100 * tile.published:.1f})"
    return "\n".join(part for part in (ours, published) if part)
