"""Pictures: accuracy over strength for one evaluation and for several, and training histories.

Figures are created without pyplot: no global state changes, and no window opens.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rampart.errors import InvalidArgument
from rampart.metrics.intervals import spread_over_seeds
from rampart.records.record import EvaluationRecord
from rampart.records.summary import summary
from rampart.reports.headline import spell_expected
from rampart.reports.percent import percent
from rampart.reports.pictures import save_picture, set_headline, styled
from rampart.reports.style import COLORS, DASHES, LOOK, MARKERS, color_of, wrap
from rampart.reports.tables import Row, aggregate
from rampart.units import Norm, Perturbation, format_eps, is_corruption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Sequence[Mapping[str, float]]
History = Sequence[Mapping[str, Any]]


def save_curve(record: EvaluationRecord, path: str | Path, title: str = "") -> None:
    """Write a picture of one evaluation: accuracy over strength, its band and its three figures.

    Raises:
        InvalidArgument: another file ending than .png, .svg or .pdf.
        RunError: the file cannot be written.
    """
    with styled(LOOK):
        save_picture(draw_curve(record, title), path)


def draw_curve(record: EvaluationRecord, title: str = "") -> "Figure":
    """Draw accuracy over strength of one evaluation, with its band and its three figures."""
    facts = summary(record)
    with styled(LOOK):
        figure, axes = _canvas(6.4, 4.2)
        draw_line(axes, facts["curve"], record.norm, COLORS["two-hinge"], area=True)
        strength_axis(axes, record.eps, record.norm)
        axes.set_title(_headline(facts), loc="left", fontsize="medium", color="#555555")
        set_headline(figure, title or "Accuracy under attack")
    return figure


def save_comparison(rows: Sequence[Row], path: str | Path, title: str = "") -> None:
    """Write the curves of several runs; of several seeds the mean with their interval or range.

    Args:
        rows: rows of `rampart.reports.tables.comparison_rows`, with their curves.
        path: a file that ends in .png, .svg or .pdf.
        title: title of the picture.

    Raises:
        InvalidArgument: rows of different norms, or another file ending.
        RunError: the file cannot be written.
    """
    norm = _only_norm(rows)
    with styled(LOOK):
        methods = aggregate(rows)
        lines = sum(wrap(method["method"]).count("\n") + 1 for method in methods)
        figure, axes = _canvas(7.2, max(4.4, 0.17 * lines + 1.2))
        for index, method in enumerate(methods):
            curve = _mean_curve([row["curve"] for row in rows if row["method"] == method["method"]])
            color, style = _style_of(methods, index)
            draw_line(axes, curve, norm, color, **style)
        strength_axis(axes, max(row["eps"] for row in rows), norm)
        _expectation_legend(figure, axes, methods)
        axes.set_title(title, loc="left")
        save_picture(figure, path)


def save_histories(
    histories: Iterable[tuple[str, History]], path: str | Path, title: str = ""
) -> None:
    """Write training histories as small multiples: clean and robust validation accuracy, and eps.

    Args:
        histories: name of the method and rows of history.jsonl, one pair per run; runs with the
            same name are drawn in one panel.
        path: a file that ends in .png, .svg or .pdf.
        title: title of the picture.

    Raises:
        InvalidArgument: no run has a finished epoch, or another file ending.
        RunError: the file cannot be written.
    """
    methods: dict[str, list[History]] = {}
    for name, rows in histories:
        if rows:
            methods.setdefault(name, []).append(rows)
    if not methods:
        raise InvalidArgument("histories", "no rows", "at least one finished epoch")
    with styled(LOOK):
        heading = max(wrap(name).count("\n") for name in methods)
        figure, panels = _panels(len(methods), heading)
        for panel, (name, runs) in zip(panels, methods.items(), strict=True):
            _draw_histories(panel, runs, name, color_of(name, list(methods)))
        _history_legend(figure)
        set_headline(figure, title)
        figure.supylabel("percent (validation split)", fontsize="medium")
        save_picture(figure, path)


def _canvas(width: float, height: float) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _panels(count: int, heading: int = 0) -> tuple["Figure", list["Axes"]]:
    """A figure with `count` panels, at most three in a row; the last of each column has a label.

    `heading` is the number of lines of the longest title beyond the first.
    """
    from matplotlib.figure import Figure

    columns = 2 if count == 4 else min(count, 3)
    lines = math.ceil(count / columns)
    height = (2.5 + 0.17 * heading) * lines + 0.9
    figure = Figure(figsize=(max(6.4, 3.2 * columns), height), layout="constrained")
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for panel in panels[count:]:
        panel.set_axis_off()
    for panel in panels[max(0, count - columns) : count]:
        panel.set_xlabel("epoch")
    return figure, panels[:count]


def _headline(facts: Mapping[str, Any]) -> str:
    return (
        f"clean {percent(facts['clean'])},  at {format_eps(facts['eps'])} "
        f"{percent(facts['adversarial'])},  {spell_expected(facts)},  n = {facts['n']}"
    )


def draw_line(
    axes: "Axes", curve: Curve, norm: Perturbation, color: str, area: bool = False, **line: Any
) -> None:
    """A line with markers and, where the curve has intervals, a band around it."""
    eps = [_place(point["eps"], norm) for point in curve]
    accuracy = [100 * point["accuracy"] for point in curve]
    if all("low" in point and "high" in point for point in curve):
        low, high = ([100 * point[end] for point in curve] for end in ("low", "high"))
        axes.fill_between(eps, low, high, color=color, alpha=0.18, linewidth=0)
    if area:
        axes.fill_between(eps, 0, accuracy, color=color, alpha=0.06, linewidth=0)
    style = {"marker": "o", "markersize": 4, "markevery": max(1, len(eps) // 12), "linewidth": 1.8}
    axes.plot(eps, accuracy, color=color, **{**style, **line})


def _place(eps: float, norm: Perturbation) -> float:
    """The position of a strength on the axis: in units of 1/255 for Linf."""
    return eps * 255 if norm == "linf" else eps


def strength_axis(axes: "Axes", eps: float, norm: Perturbation) -> None:
    """Label the axes of a curve that ends at eps, or at the last severity of a corruption."""
    unit = ", in 1/255 of the pixel range" if norm == "linf" else ""
    strength = f"{norm.capitalize()} strength eps{unit}"
    axes.set_xlabel(f"severity of {norm}" if is_corruption(norm) else strength)
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 102)
    axes.set_xlim(0, 1.02 * _place(eps, norm) or 1)
    last = round(_place(eps, norm))
    if last >= 2 and abs(_place(eps, norm) - last) < 1e-6:
        axes.set_xticks(range(0, last + 1, _tick_step(last)))


def _tick_step(last: int) -> int:
    """The smallest divisor of `last` that gives at most 12 steps, so that `last` has a tick."""
    return next(step for step in range(1, last + 1) if last % step == 0 and last / step <= 12)


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    """The curve of one run, or the mean of several with their `spread_over_seeds`."""
    if len(curves) == 1:
        return curves[0]
    points = []
    for column in zip(*curves, strict=True):
        values = [point["accuracy"] for point in column]
        interval = spread_over_seeds(values)
        points.append(
            {
                "eps": column[0]["eps"],
                "accuracy": float(np.mean(values)),
                "low": interval.low,
                "high": interval.high,
            }
        )
    return points


def _expectation_legend(figure: "Figure", axes: "Axes", methods: Sequence[Row]) -> None:
    """A legend to the right of the axes, with the highest expected robustness first."""
    lines = axes.get_lines()
    order = sorted(range(len(methods)), key=lambda index: -methods[index]["expected"])
    runs = {method["runs"] for method in methods}
    several = f",\nmean of {runs.pop()} seeds" if len(runs) == 1 and runs != {1} else ""
    figure.legend(
        [lines[index] for index in order],
        [
            wrap(f"{methods[index]['method']}: {percent(methods[index]['expected'])}")
            for index in order
        ],
        loc="outside right center",
        title=f"expected robustness{several}",
        alignment="left",
    )


def _style_of(methods: Sequence[Row], index: int) -> tuple[str, dict[str, Any]]:
    """Color of the schedule, own marker; methods of one schedule also differ in their dashes."""
    schedules = [str(method["schedule"]) for method in methods]
    same = schedules[:index].count(schedules[index])
    style = {"linestyle": DASHES[same % len(DASHES)], "marker": MARKERS[index % len(MARKERS)]}
    return color_of(schedules[index], schedules), style


def _draw_histories(axes: "Axes", runs: Sequence[History], name: str, color: str) -> None:
    """Draw the accuracies of each run before a gray area, the strength in percent of its target."""
    from matplotlib.ticker import MaxNLocator

    shade, width = 0.6 / len(runs), 1.8 if len(runs) == 1 else 1.1
    for rows in runs:
        epochs = [row["epoch"] for row in rows]
        strength = [100 * row["alpha"] for row in rows]
        axes.fill_between(epochs, strength, color="#d0d0d0", alpha=shade, linewidth=0)
        for key, dash in (("val_clean", "-"), ("val_robust", "--")):
            _draw_column(axes, rows, key, linestyle=dash, color=color, linewidth=width)
    axes.set_title(wrap(name), loc="left", color=color, fontweight="bold", fontsize="medium")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.set_ylim(0, 102)


def _draw_column(axes: "Axes", rows: History, key: str, **line: Any) -> None:
    """Draw one column of a history in percent, without the epochs that lack it."""
    known = [row for row in rows if row.get(key) is not None]
    marker = "o" if len(known) < 3 else ""
    values = [100 * row[key] for row in known]
    axes.plot([row["epoch"] for row in known], values, marker=marker, **line)


def _history_legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color="#333333", label="clean accuracy"),
        Line2D([], [], color="#333333", linestyle="--", label="accuracy under attack"),
        Patch(color="#d0d0d0", alpha=0.6, label="strength, percent of its target"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small")


def _only_norm(rows: Iterable[Row]) -> Norm:
    norms = {row["norm"] for row in rows}
    if len(norms) != 1:
        got = ", ".join(sorted(norms)) or "no rows"
        raise InvalidArgument("rows", got, "runs evaluated under one norm")
    norm: Norm = norms.pop()
    return norm
