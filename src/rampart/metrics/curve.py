"""Accuracy at every strength of the grid, from critical strengths.

A grid is g_0 = 0 < g_1 < ... < g_n = eps_g. The critical index j of a sample is the grid index of
the smallest strength at which it is misclassified: 0 without perturbation, n + 1 if it is robust
at every strength.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rampart.errors import InvalidArgument
from rampart.units import SEVERITIES, Perturbation, is_corruption, parse_eps, require_norm

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def accuracy_curve(critical: ArrayLike, n: int) -> Floats:
    """Return the accuracy at each strength of the grid, Acc_k = mean(j > k).

    A sample that is misclassified at one strength counts as misclassified at every larger one.

    Args:
        critical: (N,) critical indices in 0..n + 1.
        n: index of the last strength.

    Returns:
        (n + 1,) fractions that never rise.

    Raises:
        InvalidArgument: no sample, or an index out of range.
    """
    indices = check_critical(critical, n)
    misclassified = np.cumsum(np.bincount(indices, minlength=n + 2)[: n + 1])
    return (len(indices) - misclassified) / len(indices)


def check_critical(critical: ArrayLike, n: int) -> Integers:
    """Return the (N,) critical indices as int64; raise `InvalidArgument` outside 0..n + 1."""
    indices = np.asarray(critical)
    if indices.ndim != 1 or not len(indices):
        raise InvalidArgument("critical", f"shape {indices.shape}", "(N,) with N >= 1")
    if not np.issubdtype(indices.dtype, np.integer):
        raise InvalidArgument("critical", indices.dtype, "integers", "pass indices into the grid")
    outside = indices[(indices < 0) | (indices > n + 1)]
    if len(outside):
        raise InvalidArgument("critical", outside[0], f"an index in 0..{n + 1} for this grid")
    return indices.astype(np.int64)


def check_grid(grid: ArrayLike, perturbation: Perturbation | None = None) -> Floats:
    """Return the grid as (n + 1,) floats.

    Args:
        grid: ascending strengths from 0, fractions of the pixel range; of a corruption 0 to 5.
        perturbation: their norm or corruption, where it is known; a norm tells 8 from 8/255.

    Raises:
        InvalidArgument: the grid does not ascend from 0, its strengths are gray levels, or those of
            a corruption are not its severities.
    """
    strengths = _as_floats(grid)
    if strengths.ndim != 1 or not len(strengths) or strengths[0] != 0:
        raise InvalidArgument("grid", grid, "a list of strengths that starts with 0")
    if not np.isfinite(strengths).all() or (np.diff(strengths) <= 0).any():
        raise InvalidArgument("grid", grid, "finite strengths, each larger than the one before")
    if perturbation is not None and is_corruption(perturbation):
        if strengths.tolist() != [0, *SEVERITIES]:
            raise InvalidArgument("grid", grid, f"0 to 5, the severities of {perturbation}")
    elif perturbation is not None:
        parse_eps(float(strengths[-1]), require_norm(perturbation, "grid"), "grid")
    return strengths


def _as_floats(grid: ArrayLike) -> Floats:
    try:
        return np.asarray(grid, dtype=np.float64)
    except (ValueError, TypeError):
        do = "use rampart.parse_eps('8/255') for texts"
        raise InvalidArgument("grid", grid, "numbers such as 8 / 255", do) from None
