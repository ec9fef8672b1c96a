"""What the grid of strengths leaves open in a difference, in words."""

from collections.abc import Sequence
from math import ceil

from rampart.metrics.lead import Lead
from rampart.units import format_eps

#: Most parts of a step that are advised; sixteen for each gray level are close to a continuum.
MOST_PARTS = 16
#: Steps of the default grid under another norm than Linf.
_STEPS = 8

UNDECIDED = "undecided by the grid"
#: The start of a claim that the bounds do not support.
BY_LINES = "by straight lines between the strengths"


def spell_bounds(bounds: tuple[float, float], of: str = "") -> str:
    """Return the bounds of a difference in points, such as "bounds -1.9 to +6.1".

    Args:
        bounds: the least and the largest difference.
        of: what they bound, if it is not the figure beside them; such as "the mean".
    """
    low, high = (f"{round(100 * end, 1) + 0.0:+.1f}" for end in bounds)
    return f"bounds {f'of {of} ' if of else ''}{low} to {high}"


def undecided(found: Lead, grid: Sequence[float] = (), norm: str = "linf") -> str:
    """Return why the grid does not decide the sign of a difference, and which strengths would.

    Args:
        found: a difference with the verdict "grid".
        grid: the strengths of both evaluations from 0 up, if they share a grid.
        norm: norm of the strengths.

    Example:
        >>> coarse = Lead(0.1, (0.05, 0.15), (-0.02, 0.22), (-0.07, 0.27))
        >>> undecided(coarse, [0.0, 1 / 255, 2 / 255])
        'undecided by the grid (curves between its strengths allow -7.0 to +27.0 points): \
evaluate both at 3 times as many strengths, 0.333/255 apart, by evaluation.resolution=3'
    """
    low, high = (f"{round(100 * end, 1) + 0.0:+.1f}" for end in found.widest)
    return (
        f"{UNDECIDED} (curves between its strengths allow {low} to {high} points): "
        f"{more_strengths(found.parts, grid, norm)}"
    )


def more_strengths(parts: int, grid: Sequence[float] = (), norm: str = "linf") -> str:
    """Return which strengths to add, so that each step of the grid has `parts` parts."""
    if parts > MOST_PARTS:
        return f"even {MOST_PARTS} times as many strengths would not decide so small a lead"
    text = f"evaluate both at {parts} times as many strengths"
    steps = len(grid) - 1
    gap = grid[-1] / steps if steps > 0 else 0.0
    if not gap or any(abs(after - k * gap) > 1e-9 * grid[-1] for k, after in enumerate(grid)):
        return f"{text}, evenly between those of the grid, by evaluation.resolution"
    per_default = steps / (ceil(255 * grid[-1] - 1e-9) if norm == "linf" else _STEPS)
    value = f"={round(parts * per_default)}" if per_default % 1 == 0 else ""
    return f"{text}, {format_eps(gap / parts, grid[-1])} apart, by evaluation.resolution{value}"
