"""The adaptation delay of a run."""

from collections.abc import Sequence

#: Clean validation accuracy above which a run has adapted (arXiv 2509.23325).
ADAPTED = 0.05


def adaptation_delay(accuracy: Sequence[float], threshold: float = ADAPTED) -> int | None:
    """Return the first epoch, counted from 1, whose accuracy exceeds the threshold.

    Args:
        accuracy: clean accuracy on the validation split after each epoch.
        threshold: a fraction in [0, 1].

    Returns:
        The epoch, or None if no epoch exceeds the threshold.
    """
    return next((epoch for epoch, value in enumerate(accuracy, 1) if value > threshold), None)


def has_measurable_delay(classes: int | None) -> bool:
    """Return whether the delay says anything: guessing must stay below 5 %.

    Args:
        classes: number of classes; with 20 or fewer, chance alone reaches 5 %. None if unknown.
    """
    return classes is None or 1 / classes < ADAPTED
