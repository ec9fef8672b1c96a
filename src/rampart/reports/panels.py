"""Small multiples: one panel per backbone and dataset, say, with a line or points per method."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.reports.pictures import save_picture, set_headline, styled
from rampart.reports.style import LOOK, styles_of, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: Row and column of a panel.
Place = tuple[str, str]
#: Most characters in a line of a panel's heading, and of a name in the legend.
_HEADING, _LEGEND = 24, 48
_WIDTH, _HEIGHT = 2.5, 1.9
#: Where points above every value stand, as a multiple of the largest value.
_ABOVE = 1.25


@dataclass(frozen=True)
class Series:
    """What a method shows in one panel.

    Attributes:
        method: its name.
        x, y: the points, in order of x for a line.
        low, high: ends of the interval at each point; empty for none.
        joined: whether a line joins the points.
        above: x of points that lie above every y, such as runs that never adapted.
    """

    method: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    joined: bool = True
    above: tuple[float, ...] = ()


@dataclass(frozen=True)
class Panels:
    """A picture of several panels.

    Attributes:
        title: above all panels.
        x: label of the horizontal axes.
        y: label of the vertical axes, or one label per row.
        series: by panel.
        percent: rows whose values are percent; by default all.
        above: the word beside points above every y.
        whole: whether the horizontal axis has whole numbers, such as epochs.
        notes: texts in the lower left corner by panel and method, in the method's color.
    """

    title: str
    x: str
    y: str | Mapping[str, str]
    series: Mapping[Place, Sequence[Series]]
    percent: bool | Sequence[str] = True
    above: str = ""
    whole: bool = True
    notes: Mapping[Place, Mapping[str, str]] = field(default_factory=dict)


def save_panels(panels: Panels, path: str | Path) -> None:
    """Write a picture.

    Raises:
        InvalidArgument: another file ending than .png, .svg or .pdf.
        RunError: the file cannot be written.
    """
    rows, columns = (list(dict.fromkeys(place[axis] for place in panels.series)) for axis in (0, 1))
    methods = dict.fromkeys(one.method for some in panels.series.values() for one in some)
    styles = styles_of(list(methods))
    with styled(LOOK):
        handles = _handles(panels, styles)
        wide = _legend_columns(handles, len(columns))
        figure, grid = _grid(rows, columns, math.ceil(len(handles) / wide))
        for (row, column), axes in grid.items():
            _label(axes, panels, row, column, rows, columns)
            top = _top(panels, row)
            for one in panels.series.get((row, column), ()):
                _draw(axes, one, styles[one.method], top)
            _note(axes, panels.notes.get((row, column), {}), styles)
            _limit(axes, panels, row, top)
            if row == rows[-1]:
                axes.set_xlabel(panels.x)
                if panels.whole:
                    _locate(axes)
        set_headline(figure, panels.title)
        _legend(figure, handles, wide)
        save_picture(figure, path)


def _grid(
    rows: Sequence[str], columns: Sequence[str], legend: int
) -> tuple["Figure", dict[Place, "Axes"]]:
    """A figure with its panels, and room for a legend of so many entries below each other."""
    from matplotlib.figure import Figure

    headings = max(wrap(column, _HEADING).count("\n") for column in columns)
    height = _HEIGHT * len(rows) + 0.9 + 0.17 * headings + 0.28 * legend
    size = (max(6.4, _WIDTH * len(columns) + 0.8), height)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(columns), sharex=True, sharey="row", squeeze=False)
    places = [(row, column) for row in rows for column in columns]
    return figure, dict(zip(places, grid.flat, strict=True))


def _label(
    axes: "Axes", panels: Panels, row: str, column: str, rows: Sequence[str], columns: Sequence[str]
) -> None:
    if row == rows[0]:
        axes.set_title(wrap(column, _HEADING), loc="left", fontsize="medium", fontweight="bold")
    if column == columns[0]:
        label = panels.y if isinstance(panels.y, str) else panels.y.get(row, "")
        axes.set_ylabel("\n".join(part for part in (wrap(row, _HEADING), label) if part))


def _locate(axes: "Axes") -> None:
    """Whole numbers on the horizontal axis: epochs and gray levels."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _draw(axes: "Axes", one: Series, style: Mapping[str, Any], top: float) -> None:
    if one.low and len(one.x) > 1:
        axes.fill_between(one.x, one.low, one.high, color=style["color"], alpha=0.15, linewidth=0)
    every = max(1, len(one.x) // 8)
    line = {**style, "markersize": 3.5, "markevery": every, "linewidth": 1.4}
    if not one.joined:
        line |= {"linestyle": "", "markevery": None, "alpha": 0.8}
    axes.plot(one.x, one.y, **line)
    if one.above:
        hollow = {**line, "linestyle": "", "markevery": None, "markerfacecolor": "none"}
        axes.plot(one.above, [_ABOVE * top] * len(one.above), **hollow)


def _top(panels: Panels, row: str) -> float:
    """The largest value of a row of panels."""
    drawn = [one for place, some in panels.series.items() if place[0] == row for one in some]
    return max((value for one in drawn for value in (*one.y, *one.high)), default=0) or 1


def _limit(axes: "Axes", panels: Panels, row: str, top: float) -> None:
    """Percent within 0 to 100; other values from 0 up, with room for the points above."""
    if panels.percent is True or (panels.percent and row in panels.percent):
        axes.set_ylim(0, 102)
        return
    drawn = [one for place, some in panels.series.items() if place[0] == row for one in some]
    if not any(one.above for one in drawn):
        axes.set_ylim(0, 1.08 * top)
        return
    axes.set_ylim(0, (_ABOVE + 0.1) * top)
    axes.axhline((_ABOVE - 0.1) * top, color="#999999", linewidth=0.8, linestyle=":")


def _note(axes: "Axes", notes: Mapping[str, str], styles: Mapping[str, Mapping[str, Any]]) -> None:
    for line, (method, text) in enumerate(notes.items()):
        place: dict[str, Any] = {
            "xy": (0.03, 0.05),
            "xytext": (0, 9.5 * line),
            "textcoords": "offset points",
        }
        look = {"color": styles[method]["color"], "fontsize": "x-small"}
        axes.annotate(text, xycoords="axes fraction", **place, **look)


def _handles(panels: Panels, styles: Mapping[str, Mapping[str, Any]]) -> list["Line2D"]:
    from matplotlib.lines import Line2D

    drawn = [one for some in panels.series.values() for one in some]
    joined = {one.method for one in drawn if one.joined}
    handles = [
        Line2D(
            [],
            [],
            **{**style, "markersize": 4, **({} if name in joined else {"linestyle": ""})},
            label=wrap(name, _LEGEND),
        )
        for name, style in styles.items()
    ]
    if any(one.above for one in drawn):
        hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "none", "linestyle": ""}
        handles.append(Line2D([], [], color="#666666", **hollow, label=panels.above))
    return handles


def _legend_columns(handles: Sequence["Line2D"], columns: int) -> int:
    """The number of entries of the legend beside each other."""
    lines = [line for one in handles for line in str(one.get_label()).split("\n")]
    longest = max(map(len, lines), default=1)
    fitting = int(14 * max(6.4, _WIDTH * columns) / (longest + 8))
    return max(1, min(len(handles), fitting))


def _legend(figure: "Figure", handles: Sequence["Line2D"], columns: int) -> None:
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize="small")
