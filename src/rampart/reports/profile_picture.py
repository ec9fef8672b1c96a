"""The picture of a profile: a panel per norm, one for corruptions, one for the worst norm."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.reports.percent import percent
from rampart.reports.pictures import save_picture, set_headline, styled
from rampart.reports.plots import draw_line, strength_axis
from rampart.reports.style import LOOK
from rampart.units import SEVERITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One color per threat, of Okabe and Ito's palette.
COLORS = {"linf": "#0072B2", "l2": "#009E73", "l1": "#D55E00"}
COLORS |= {"corruptions": "#882255", "worst": "#333333"}


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

    threats, corruptions, worst = facts["threats"], facts["corruptions"], facts["worst"]
    union = len(threats) > 1
    count = len(threats) + bool(corruptions) + union
    with styled(LOOK):
        figure = Figure(figsize=(max(4.2, 3.1 * count), 3.6), layout="constrained")
        panels = list(figure.subplots(1, count, sharey=True, squeeze=False)[0])
        for panel, threat in zip(panels, threats, strict=False):
            norm = threat["norm"]
            draw_line(panel, threat["curve"], norm, COLORS[norm], area=True)
            strength_axis(panel, threat["eps"], norm)
            _head(panel, norm.capitalize(), threat, COLORS[norm])
        if corruptions:
            _draw_corruptions(panels[len(threats)], corruptions)
        if union:
            _draw_worst(panels[-1], worst)
        for panel in panels[1:]:
            panel.set_ylabel("")
        set_headline(figure, title or str(facts["model"]))
    return figure


def _draw_corruptions(axes: "Axes", corruptions: Mapping[str, Any]) -> None:
    """Draw accuracy at each severity: a thin line for each kind, and their mean."""
    kinds, color = corruptions["kinds"], COLORS["corruptions"]
    for one in kinds.values():
        axes.plot(
            [point["eps"] for point in one["curve"]],
            [100 * point["accuracy"] for point in one["curve"]],
            linewidth=0.8,
            alpha=0.5,
            color=color,
        )
    strength_axis(axes, SEVERITIES[-1], next(iter(kinds)))
    draw_line(axes, corruptions["curve"], next(iter(kinds)), color)
    axes.set_xlabel("severity")
    name = next(iter(kinds)) if len(kinds) == 1 else f"{len(kinds)} corruptions"
    _head(axes, name.capitalize(), corruptions, color)


def _draw_worst(axes: "Axes", worst: Mapping[str, Any]) -> None:
    """Draw the images that withstand every norm, over the fraction of the largest strengths."""
    curve = [{**point, "eps": point["fraction"]} for point in worst["curve"]]
    # L2 has no unit of its own on the axis.
    draw_line(axes, curve, "l2", COLORS["worst"], area=True)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("fraction of each largest strength")
    _head(axes, "Worst norm", worst, COLORS["worst"])


def _head(axes: "Axes", name: str, figures: Mapping[str, Any], color: str) -> None:
    text = f"{name}: expected {percent(figures['expected']['value'])}"
    axes.set_title(text, loc="left", color=color, fontweight="bold", fontsize="medium")
