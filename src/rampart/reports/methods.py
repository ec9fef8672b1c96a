"""The picture of a study: a panel per task, a line per method with its mean and interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.metrics.intervals import spread_over_seeds
from rampart.reports.pictures import save_picture, styled
from rampart.reports.seeds import spell_spread
from rampart.reports.style import LOOK, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Values of a method, one per seed.
Methods = Mapping[str, Sequence[float]]

#: Most characters in a line of a panel's title, and inches of a letter of a name.
HEADING, _LETTER = 32, 0.078
_REFERENCE, _OTHER = "#D55E00", "#0072B2"


def save_methods(
    tasks: Mapping[str, Methods], path: str | Path, measure: str, references: Sequence[str] = ()
) -> None:
    """Write one panel per task, with a line per method and a dot per run.

    Args:
        tasks: fractions in [0, 1] of every method, by task; the methods appear in this order.
        path: a file that ends in .png, .svg or .pdf.
        measure: name of the fractions, for the axis.
        references: methods whose mean is also drawn as a vertical line.

    Raises:
        InvalidArgument: another file ending.
        RunError: the file cannot be written.
    """
    with styled(LOOK):
        save_picture(draw_methods(tasks, measure, references), path)


def draw_methods(
    tasks: Mapping[str, Methods], measure: str, references: Sequence[str] = ()
) -> "Figure":
    """Draw the picture that `save_methods` writes, with its arguments."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for methods in tasks.values() for name in methods))
    shown, heads = [wrap(name) for name in names], [wrap(task, HEADING) for task in tasks]
    longest = max(len(line) for name in shown for line in name.split("\n"))
    lines = sum(name.count("\n") + 1 for name in shown)
    width = max(2.6, _LETTER * longest + 0.4) + 3.2 * len(tasks)
    height = 1.1 + 0.21 * lines + 0.17 * max(head.count("\n") for head in heads)
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for panel, head, methods in zip(panels, heads, tasks.values(), strict=True):
        _draw(panel, methods, names, references)
        _limit(panel)
        panel.set_title(head, loc="left", fontsize="medium")
    panels[0].set_yticks(range(len(names)), shown)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    spread = spell_spread(len(values) for one in tasks.values() for values in one.values())
    label = wrap(f"{measure}, percent: runs, mean, {spread}", int(13 * width))
    figure.supxlabel(label, fontsize="medium")
    return figure


def _limit(panel: "Axes") -> None:
    """Show a part of 0 to 100 percent; points at its ends are drawn whole."""
    low, high = panel.get_xlim()
    panel.set_xlim(max(0.0, low), min(100.0, high))


def _draw(panel: "Axes", methods: Methods, names: Sequence[str], references: Sequence[str]) -> None:
    for name, values in methods.items():
        color = _REFERENCE if name in references else _OTHER
        fractions, line = [100 * value for value in values], names.index(name)
        dots: dict[str, Any] = {"color": color, "alpha": 0.3, "markersize": 3, "clip_on": False}
        panel.plot(fractions, [line] * len(fractions), "o", **dots)
        mean = sum(fractions) / len(fractions)
        panel.plot(mean, line, "|", color=color, markersize=9, markeredgewidth=2, clip_on=False)
        if len(fractions) > 1:
            interval = spread_over_seeds(values)
            ends = [100 * max(0.0, interval.low), 100 * min(1.0, interval.high)]
            panel.plot(ends, [line, line], color=color, linewidth=1.2)
        if name in references:
            panel.axvline(mean, color=color, linewidth=0.8, linestyle="--")
