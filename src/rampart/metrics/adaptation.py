"""How late a run adapts to its task, and how that goes with the accuracy that it ends with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rampart.errors import InvalidArgument

#: Validation clean accuracy that counts as adapted (arXiv 2509.23325). It presumes many classes:
#: with 20 or fewer, chance alone reaches it.
ADAPTED = 0.05


def adaptation_delay(accuracy: Sequence[float], threshold: float = ADAPTED) -> int | None:
    """Return the first epoch, counted from 1, whose accuracy exceeds the threshold.

    Args:
        accuracy: clean accuracy on the validation split after each epoch.
        threshold: share to exceed.

    Returns:
        The epoch, or None where no epoch does.
    """
    return next((epoch for epoch, value in enumerate(accuracy, 1) if value > threshold), None)


def correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Return Pearson's r, such as of delay with final accuracy over runs.

    Raises:
        InvalidArgument: fewer than two pairs, two lengths, or values that are all equal.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise InvalidArgument("second", f"shape {b.shape}", f"(N,) like first {a.shape}, N >= 2")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise InvalidArgument("values", "all equal", "values that differ", "r is not defined here")
    return float(np.corrcoef(a, b)[0, 1])
