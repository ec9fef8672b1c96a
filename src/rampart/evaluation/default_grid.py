"""The strengths at which a model is evaluated by default."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from rampart.units import Norm, parse_eps

#: Least number of steps of the default grid, so that the error of a straight line between two
#: strengths stays below a sixteenth of the fall of accuracy.
PARTS = 8


def default_grid(eps: float, norm: Norm, resolution: int | None = None) -> tuple[float, ...]:
    """Return the default strengths from 0 to eps, at least eight above 0.

    Linf: k/255 as in the publication, for all gray levels below eps, and eps itself; where these
    are fewer than eight, each step is divided into equal parts, so that every k/255 remains. Other
    norms: eight equal parts.

    Args:
        eps: the last strength.
        norm: norm of the ball.
        resolution: number of parts into which each step is divided; 1 gives the grid of the
            publication. By default the smallest number that gives eight steps.

    Raises:
        InvalidArgument: eps is out of the range of its norm, as 8 in place of 8/255 is.

    Example:
        >>> [round(255 * strength, 2) for strength in default_grid(3 / 255, "linf")]
        [0.0, 0.33, 0.67, 1.0, 1.33, 1.67, 2.0, 2.33, 2.67, 3.0]
    """
    if parse_eps(eps, norm) == 0:
        return (0.0,)
    # 4/255 * 255 may lie a rounding error above 4.
    steps = max(1, int(np.ceil(eps * 255 - 1e-9))) if norm == "linf" else PARTS
    # Division gives the same number as parsing the text "k/255"; multiplying by 1/255 may not.
    parts = 255 if norm == "linf" else PARTS / eps
    coarse = [*(k / parts for k in range(steps)), eps]
    return refine(coarse, resolution or math.ceil(PARTS / steps))


def refine(grid: Sequence[float], resolution: int) -> tuple[float, ...]:
    """Return the grid with each step divided into `resolution` equal parts."""
    parts = [
        low + (high - low) * part / resolution
        for low, high in pairwise(grid)
        for part in range(resolution)
    ]
    return (*parts, grid[-1])
