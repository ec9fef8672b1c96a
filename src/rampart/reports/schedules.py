"""Drawings of schedules: a chart for the terminal, a table, and a picture."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rampart.reports.pictures import check_picture, save_picture, styled
from rampart.schedules.base import SCHEDULES, Schedule
from rampart.schedules.preview import PreviewRow
from rampart.units import Horizon, format_eps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[PreviewRow]
_EIGHTHS = " ▁▂▃▄▅▆▇█"
# For terminals and files whose encoding lacks block characters.
_PLAIN = str.maketrans("▁▂▃▄▅▆▇█│┤└─┴", "..::+###||+-+")


def title(schedule: Schedule) -> str:
    """Return name and options, as in "two-hinge  start=0.25 end=0.75 unit=fraction"."""
    options = SCHEDULES.dump(schedule)
    name = options.pop("name")
    spelled = " ".join(f"{key}={_plain(value)}" for key, value in options.items())
    return f"{name}  {spelled}".rstrip()


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def ascii_only(text: str) -> str:
    """Return a chart drawn with ASCII characters only."""
    return text.translate(_PLAIN)


def ticks(epochs: int, most: int = 7) -> list[int]:
    """Return at most `most` round epochs from 0 to `epochs`."""
    steps = (digit * 10**power for power in range(10) for digit in (1, 2, 5))
    step = next(step for step in steps if epochs // step < most)
    return list(range(0, epochs + 1, step))


def chart(rows: Rows, eps_g: float, epochs: int, width: int = 80, height: int = 8) -> str:
    """Draw eps over the epochs in block characters, at most `width` columns wide.

    Args:
        rows: rows of one preview.
        eps_g: target strength, at the upper edge.
        epochs: length of the run.
        width: columns of the terminal.
        height: lines of the plot; the axis needs two more.
    """
    margin = max(len(format_eps(part * eps_g, eps_g)) for part in (0.5, 1)) + 1
    # The last label extends beyond the right end of the plot.
    overhang = len(str(epochs)) // 2 + 1 + len(" epochs")
    columns = max(10, width - margin - overhang)
    heights = _column_heights(rows, epochs, columns, height)
    # A label belongs to the line whose upper edge has its value.
    labels = {0: format_eps(eps_g, eps_g), height // 2: format_eps(eps_g / 2, eps_g)}
    lines = []
    for line in range(height):
        floor = 8 * (height - 1 - line)
        blocks = "".join(_EIGHTHS[min(8, max(0, top - floor))] for top in heights)
        mark = "┤" if line in labels else "│"
        lines.append(f"{labels.get(line, ''):>{margin - 1}} {mark}{blocks}".rstrip())
    return "\n".join([*lines, *_time_axis(epochs, columns, margin)])


def _column_heights(rows: Rows, epochs: int, columns: int, height: int) -> list[int]:
    """Return the height of each column in eighths of a line, at the middle of its time span."""
    heights, row = [], 0
    for column in range(columns):
        middle = (column + 0.5) / columns * epochs
        while row + 1 < len(rows) and rows[row + 1].epoch <= middle:
            row += 1
        # A strength above 0 is always visible.
        fraction = rows[row].alpha if rows[row].eps > 0 else 0.0
        heights.append(max(math.ceil(fraction), round(fraction * height * 8)))
    return heights


def _time_axis(epochs: int, columns: int, margin: int) -> list[str]:
    axis, labels = ["─"] * (columns + 1), [" "] * (columns + 8)
    for epoch in ticks(epochs):
        column = round(epoch / epochs * columns)
        axis[column] = "┴"
        start = column - (len(str(epoch)) - 1) // 2
        labels[start : start + len(str(epoch))] = str(epoch)
    axis[0] = "└"
    return [
        f"{'0':>{margin - 1}} " + "".join(axis),
        " " * margin + "".join(labels).rstrip() + " epochs",
    ]


def table(rows: Rows, eps_g: float) -> str:
    """Return the values at the start of every epoch (counted from 0), one line each."""
    lines = ["epoch   alpha   eps"]
    for epoch, alpha, eps in rows:
        if epoch == int(epoch):
            lines.append(f"{int(epoch):5d}  {alpha:.4f}   {format_eps(eps, eps_g)}")
    return "\n".join(lines)


def picture(
    curves: Mapping[str, Rows],
    path: Path,
    eps_g: float,
    horizon: Horizon,
    note: str = "",
) -> None:
    """Write a picture of one schedule, or of several as small multiples.

    Args:
        curves: the rows of a preview by title, see `title`.
        path: a file that ends in .png, .svg or .pdf.
        eps_g: target strength, a fraction of the pixel range.
        horizon: length of the run.
        note: a line below the picture, such as the delay assumed for `auto`.

    Raises:
        InvalidArgument: another file ending.
        RunError: the file cannot be written.
    """
    check_picture(path, "output")
    with styled({"font.size": 9}):
        save_picture(_figure(curves, eps_g, horizon, note), path, dpi=150)


def _figure(curves: Mapping[str, Rows], eps_g: float, horizon: Horizon, note: str) -> "Figure":
    from matplotlib.figure import Figure

    columns = min(5, len(curves))
    lines = math.ceil(len(curves) / columns)
    size = (6.4, 3.8) if len(curves) == 1 else (2.9 * columns, 2.2 * lines + 0.9)
    # About as many letters of this size as fit into an inch.
    width = int(12 * size[0])
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for axes, (heading, rows) in zip(panels, curves.items(), strict=False):
        _panel(axes, rows, eps_g, horizon.epochs)
        several = len(curves) > 1
        heading = heading.replace("  ", "\n" if several else ":  ", 1)
        # Long lines of options would overlap in neighboring panels.
        most = 34 if several else width
        lines_of = [textwrap.fill(line, most) for line in heading.split("\n")]
        axes.set_title("\n".join(lines_of), fontsize=9)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    for axes in panels[max(0, len(curves) - columns) : len(curves)]:
        axes.tick_params(labelbottom=True)
    length = f"epochs of {horizon.steps_per_epoch} optimizer steps"
    figure.supxlabel("\n".join([length, *textwrap.wrap(note, width)]), fontsize=9)
    figure.supylabel("strength eps (fraction of the pixel range)", fontsize=9)
    return figure


def _panel(axes: "Axes", rows: Rows, eps_g: float, epochs: int) -> None:
    times = [row.epoch for row in rows] + [epochs]
    values = [row.eps for row in rows] + [rows[-1].eps]
    axes.fill_between(times, values, step="post", color="tab:blue", alpha=0.15, linewidth=0)
    axes.plot(times, values, drawstyle="steps-post", color="tab:blue", linewidth=1.8, clip_on=False)
    parts = [part * eps_g for part in (0, 0.25, 0.5, 0.75, 1)] if eps_g else [0.0]
    axes.set_yticks(parts, [format_eps(part, eps_g) for part in parts])
    axes.set_xticks(ticks(epochs))
    axes.set_xlim(0, epochs)
    axes.set_ylim(0, 1.06 * eps_g or 1)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
