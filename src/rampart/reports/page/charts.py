"""Line charts of the page: plain values, from which the still picture and the live one are drawn.

A chart shows percent over a strength, a severity or an epoch. `still` gives the SVG that every
reader sees, `live` the same chart for Vega-Lite, which replaces it where scripts run. Colors are
names of CSS variables, so both follow the light and the dark theme.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

WIDTH, HEIGHT = 720.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 14.0, 12.0, 46.0
_PERCENTS = (0, 20, 40, 60, 80, 100)
#: Most ticks of the horizontal axis.
_TICKS = 8
#: Most markers of a line in the still picture.
_MARKERS = 16


class Point(NamedTuple):
    """A point of a chart.

    Attributes:
        x: position.
        y: percent of a line.
        low, high: ends of a band, percent.
        at: the position in words, such as "2/255".
        shown: the value in words, such as "51.0 % [48.2, 53.8]".
    """

    x: float
    y: float | None = None
    low: float | None = None
    high: float | None = None
    at: str = ""
    shown: str = ""


@dataclass(frozen=True)
class Series:
    """A line or a band of a chart.

    Attributes:
        name: one per chart.
        color: a CSS variable, such as "--c1".
        points: in the order in which they are joined.
        kind: "line" or "band".
        dash: of a line, in the form of SVG; "" for none.
        opacity: of a band.
        group: series that are shown and hidden together, and their name in the legend; by default
            its own name.
    """

    name: str
    color: str
    points: tuple[Point, ...]
    kind: str = "line"
    dash: str = ""
    opacity: float = 0.18
    group: str = ""

    @property
    def label(self) -> str:
        """The name in the legend."""
        return self.group or self.name


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        id: of its element.
        title: its heading.
        description: what a reader sees who cannot see it.
        x, y: labels of the axes.
        first, last: ends of the horizontal axis.
        ticks: positions and their labels.
        series: bands below lines, in this order.
        head: heading of the positions in the tooltip.
    """

    id: str
    title: str
    description: str
    x: str
    y: str
    first: float
    last: float
    ticks: tuple[tuple[float, str], ...]
    series: tuple[Series, ...]
    head: str = "strength"


def ticks_of(places: Sequence[float], labels: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """Return at most `_TICKS` of the places with their labels, the last one among them."""
    last = len(places) - 1
    # Equal parts reach the first place too; without any, the ticks count from the last one.
    even = [step for step in range(1, last + 1) if last % step == 0 and 3 <= last / step <= _TICKS]
    step = even[0] if even else -(-max(last, 1) // (_TICKS - 1))
    chosen = range(last, -1, -step)
    return tuple((places[k], labels[k]) for k in reversed(chosen))


def still(chart: Chart) -> dict[str, Any]:
    """Return the coordinates of the SVG: axes, and a path and markers for each series."""
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "bottom": HEIGHT - _BOTTOM,
        "middle": (_LEFT + WIDTH - _RIGHT) / 2,
        "rows": [(round(_y(value), 1), f"{value}") for value in _PERCENTS],
        "columns": [(round(_x(chart, place), 1), label) for place, label in chart.ticks],
        "series": [_drawn(chart, one) for one in chart.series],
        "legend": _legend(chart),
    }


def _legend(chart: Chart) -> list[Series]:
    """Return one entry for each group; of several series it has no color of its own."""
    groups: dict[str, list[Series]] = {}
    for one in chart.series:
        groups.setdefault(one.label, []).append(one)
    return [
        several[0] if len(several) == 1 else replace(several[0], color="--c8")
        for several in groups.values()
    ]


def _drawn(chart: Chart, one: Series) -> dict[str, Any]:
    markers = []
    if one.kind == "band":
        known = [p for p in one.points if p.low is not None and p.high is not None]
        there = [(p.x, p.high) for p in known]
        back = [(p.x, p.low) for p in reversed(known)]
        path = _path(chart, there + back) + ("Z" if known else "")
    else:
        known = [p for p in one.points if p.y is not None]
        path = _path(chart, [(p.x, p.y) for p in known])
        few = known if len(known) <= _MARKERS else ()
        markers = [(round(_x(chart, p.x), 1), round(_y(p.y), 1)) for p in few]
    return {"series": one, "path": path, "markers": markers}


def _path(chart: Chart, points: Sequence[tuple[float, float | None]]) -> str:
    pairs = (f"{_x(chart, x):.1f},{_y(y):.1f}" for x, y in points)
    return "M" + "L".join(pairs) if points else ""


def _x(chart: Chart, place: float) -> float:
    span = chart.last - chart.first or 1.0
    return _LEFT + (place - chart.first) / span * (WIDTH - _LEFT - _RIGHT)


def _y(percent: float | None) -> float:
    return HEIGHT - _BOTTOM - (percent or 0.0) / 100 * (HEIGHT - _TOP - _BOTTOM)


def live(chart: Chart) -> dict[str, Any]:
    """Return the chart as a Vega-Lite specification; the script fills in the colors of the theme.

    The dataset "weights" is empty: the script fills it with the distribution over eps.
    """
    rows = [_row(one, point) for one in chart.series for point in one.points]
    names = [one.name for one in chart.series]
    scale = {"domain": names, "range": [f"var({one.color})" for one in chart.series]}
    return {
        "description": chart.description,
        "width": "container",
        "height": 300,
        "background": "transparent",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "datasets": {"points": rows, "weights": []},
        "layer": [_weights(chart), *_layers(chart, scale)],
    }


def _row(one: Series, point: Point) -> dict[str, Any]:
    kept = {key: value for key, value in point._asdict().items() if value not in (None, "")}
    return {"series": one.name, "group": one.label, "kind": one.kind, **kept}


def _horizontal(chart: Chart) -> dict[str, Any]:
    # Labels are spelled by the page, since a number of a strength has several spellings.
    spelled = {f"{place:.6g}": label for place, label in chart.ticks}
    pairs = ", ".join(f"'{place}': '{label}'" for place, label in spelled.items())
    label = f"({{{pairs}}})[format(datum.value, '.6~g')] || datum.label"
    axis = {"values": [place for place, _ in chart.ticks], "grid": False, "labelExpr": label}
    scale = {"domain": [chart.first, chart.last], "nice": False}
    return {"field": "x", "type": "quantitative", "title": chart.x, "axis": axis, "scale": scale}


def _vertical(chart: Chart) -> dict[str, Any]:
    axis = {"values": list(_PERCENTS)}
    scale = {"domain": [0, 100], "nice": False}
    return {"type": "quantitative", "title": chart.y, "axis": axis, "scale": scale}


def _weights(chart: Chart) -> dict[str, Any]:
    """The layer behind the lines that shows how likely each strength is, not to scale."""
    return {
        "data": {"name": "weights"},
        "mark": {"type": "area", "color": "var(--weight)", "opacity": 0.5, "tooltip": None},
        "encoding": {
            "x": _horizontal(chart),
            "y": {**_vertical(chart), "field": "y"},
            "order": {"value": None},
        },
    }


def _layers(chart: Chart, scale: dict[str, Any]) -> list[dict[str, Any]]:
    x, y = _horizontal(chart), _vertical(chart)
    color = {"field": "series", "type": "nominal", "scale": scale, "legend": None}
    bands = [
        {
            "data": {"name": "points"},
            "transform": [{"filter": {"field": "series", "equal": one.name}}],
            "mark": {"type": "area", "opacity": one.opacity, "tooltip": None},
            "encoding": {
                "x": x,
                "y": {**y, "field": "low"},
                "y2": {"field": "high"},
                "color": color,
                # In the given order: the bounds between strengths have steps.
                "order": {"value": None},
            },
        }
        for one in chart.series
        if one.kind == "band"
    ]
    lines = [
        {
            "data": {"name": "points"},
            "transform": [{"filter": {"field": "series", "equal": one.name}}],
            "mark": {
                "type": "line",
                "strokeWidth": 2.2,
                "tooltip": None,
                **({"strokeDash": [int(part) for part in one.dash.split()]} if one.dash else {}),
            },
            "encoding": {"x": x, "y": {**y, "field": "y"}, "color": color},
        }
        for one in chart.series
        if one.kind == "line"
    ]
    points = {
        "data": {"name": "points"},
        "transform": [{"filter": {"field": "kind", "equal": "line"}}],
        "params": [
            {
                "name": "hover",
                "select": {
                    "type": "point",
                    "on": "pointerover",
                    "nearest": True,
                    "clear": "pointerout",
                },
            }
        ],
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {
            "x": x,
            "y": {**y, "field": "y"},
            "color": color,
            "size": {"condition": {"param": "hover", "empty": False, "value": 110}, "value": 36},
            "tooltip": [
                {"field": "series", "title": "line"},
                {"field": "at", "title": chart.head},
                {"field": "shown", "title": chart.y},
            ],
        },
    }
    return [*bands, *lines, points]
