"""The look of the pictures: colors of schedules, line styles, and long names on several lines."""

import textwrap
from collections.abc import Sequence
from typing import Any

#: Okabe and Ito's palette and two colors of Paul Tol's, safe for color-blind readers. A schedule
#: has the same color in every picture. Yellow is left out: it is unreadable on white.
COLORS = {
    "standard": "#6b6b6b",
    "fix": "#D55E00",
    "two-hinge": "#0072B2",
    "linear-warmup": "#009E73",
    "auto": "#CC79A7",
    "linear": "#56B4E9",
    "switch": "#E69F00",
    "uniform": "#000000",
    "adaptive": "#882255",
    "plateau": "#44AA99",
}
_SPARE = ("#999933", "#332288", "#AA4499", "#117733")
#: Most characters in a line of a legend or of a panel's title.
_LINE = 36
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
LOOK = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def color_of(name: str, names: Sequence[str]) -> str:
    """Return the color of the schedule with which a name starts, or a spare color."""
    schedules = [_schedule_in(other) for other in names]
    schedule = _schedule_in(name)
    if schedule in COLORS:
        return COLORS[schedule]
    unknown = [other for other in dict.fromkeys(schedules) if other not in COLORS]
    return _SPARE[unknown.index(schedule) % len(_SPARE)]


def _schedule_in(name: str) -> str:
    """The longest schedule with which the name starts, such as "two-hinge" in "two-hinge-seed1"."""
    found = [schedule for schedule in COLORS if name.startswith(schedule)]
    return max(found, key=len, default=name)


def styles_of(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return color, dashes and marker of each method; names of one color differ in their dashes."""
    colors = [color_of(name, names) for name in names]
    return {
        name: {
            "color": color,
            "linestyle": DASHES[colors[:index].count(color) % len(DASHES)],
            "marker": MARKERS[index % len(MARKERS)],
        }
        for index, (name, color) in enumerate(zip(names, colors, strict=True))
    }


def wrap(name: str, width: int = _LINE) -> str:
    """Return a name on several lines: with many settings it is long.

    A word that is longer than a line is broken after `_`, `.`, `/` or `-` where it has one.
    """
    lines = []
    for line in textwrap.wrap(name, width, break_long_words=False, break_on_hyphens=True):
        rest = line
        while len(rest) > width:
            cut = max((rest.rfind(mark, 0, width) for mark in "_./-"), default=-1) + 1 or width
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return "\n".join(lines)
