"""The picture of a study: a panel per task, a line per method with its mean and interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rampart.metrics.intervals import spread_over_seeds
from rampart.reports.pictures import save_picture, styled
from rampart.reports.seeds import spell_spread
from rampart.reports.style import LOOK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Values of a method, one per seed.
Methods = Mapping[str, Sequence[float]]

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
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for methods in tasks.values() for name in methods))
    with styled(LOOK):
        size = (2.6 + 3.2 * len(tasks), 1.1 + 0.21 * len(names))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for panel, (task, methods) in zip(panels, tasks.items(), strict=True):
            _draw(panel, methods, names, references)
            panel.set_title(task, loc="left", fontsize="medium")
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(names) - 0.5, -0.5)
        spread = spell_spread(len(values) for one in tasks.values() for values in one.values())
        figure.supxlabel(f"{measure}, percent: runs, mean, {spread}", fontsize="medium")
        save_picture(figure, path)


def _draw(panel: "Axes", methods: Methods, names: Sequence[str], references: Sequence[str]) -> None:
    for name, values in methods.items():
        color = _REFERENCE if name in references else _OTHER
        fractions, line = [100 * value for value in values], names.index(name)
        panel.plot(fractions, [line] * len(fractions), "o", color=color, alpha=0.3, markersize=3)
        mean = sum(fractions) / len(fractions)
        panel.plot(mean, line, "|", color=color, markersize=9, markeredgewidth=2)
        if len(fractions) > 1:
            interval = spread_over_seeds(values)
            ends = [100 * interval.low, 100 * interval.high]
            panel.plot(ends, [line, line], color=color, linewidth=1.2)
        if name in references:
            panel.axvline(mean, color=color, linewidth=0.8, linestyle="--")
