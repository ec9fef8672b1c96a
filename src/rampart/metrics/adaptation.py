"""How late a run adapts to its task."""

from collections.abc import Sequence

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
