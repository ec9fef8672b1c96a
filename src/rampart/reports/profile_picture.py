"""The picture of a profile: one panel per threat, and one for the worst of all."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.reports.percent import percent
from rampart.reports.pictures import save_picture, styled
from rampart.reports.plots import draw_line, strength_axis
from rampart.reports.style import LOOK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One color per threat, of Okabe and Ito's palette.
COLORS = {"linf": "#0072B2", "l2": "#009E73", "l1": "#D55E00", "worst": "#333333"}


def save_profile_picture(facts: Mapping[str, Any], path: str | Path, title: str = "") -> None:
    """Write the picture of a profile.

    Raises:
        InvalidArgument: another file ending than .png, .svg or .pdf.
        RunError: the file cannot be written.
    """
    with styled(LOOK):
        save_picture(draw_profile(facts, title), path)


def draw_profile(facts: Mapping[str, Any], title: str = "") -> "Figure":
    """Draw accuracy over strength under each threat, side by side with one axis of accuracy.

    Args:
        facts: of `rampart.records.profile.profile_summary`.
        title: of the picture; by default the name of the model.
    """
    from matplotlib.figure import Figure

    threats = facts["threats"]
    count = len(threats) + (len(threats) > 1)
    with styled(LOOK):
        figure = Figure(figsize=(max(4.2, 3.1 * count), 3.6), layout="constrained")
        panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
        for panel, threat in zip(panels, threats, strict=False):
            norm = threat["norm"]
            draw_line(panel, threat["curve"], norm, COLORS[norm], area=True)
            strength_axis(panel, threat["eps"], norm)
            _head(panel, norm.capitalize(), threat, COLORS[norm])
        if len(threats) > 1:
            _draw_worst(panels[len(threats)], facts["worst"])
        for panel in panels[1:]:
            panel.set_ylabel("")
        figure.suptitle(title or str(facts["model"]), x=0.01, ha="left")
    return figure


def _draw_worst(axes: "Axes", worst: Mapping[str, Any]) -> None:
    """Draw the images that withstand every threat, over the fraction of the largest strengths."""
    curve = [{**point, "eps": point["fraction"]} for point in worst["curve"]]
    # L2 has no unit of its own on the axis.
    draw_line(axes, curve, "l2", COLORS["worst"], area=True)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("fraction of each largest strength")
    _head(axes, "Worst of all", worst, COLORS["worst"])


def _head(axes: "Axes", name: str, figures: Mapping[str, Any], color: str) -> None:
    text = f"{name}: expected {percent(figures['expected']['value'])}"
    axes.set_title(text, loc="left", color=color, fontweight="bold", fontsize="medium")
