"""The check of the clean accuracy: above chance, and for the right classes."""

from collections.abc import Sequence

from scipy import stats

from rampart.counting import counted
from rampart.evaluation.checks.class_order import Predicted, suspected_order
from rampart.evaluation.checks.verdict import Verdict, passed, skipped
from rampart.metrics.curve import Integers
from rampart.metrics.intervals import CONFIDENCE


def check_clean(critical: Integers, chance: float | None, predicted: Predicted | None) -> Verdict:
    """Check that clean accuracy exceeds chance, and that no other order of the outputs fits.

    The former is an exact binomial test at 5 %; for the latter see `suspected_order`.
    """
    if predicted is not None and (wrong := _check_order(predicted)):
        return wrong
    if chance is None:
        return skipped("clean", "the accuracy of chance is unknown.")
    n, right = len(critical), int((critical > 0).sum())
    accuracy = right / n
    by_chance = float(stats.binom.sf(right - 1, n, chance))
    if chance < 1 and by_chance < 1 - CONFIDENCE:
        return passed("clean", accuracy, chance, "clean accuracy is above chance.")
    advice = "check the order of the classes, the range of the pixels and the training"
    if accuracy > chance:
        advice = f"evaluate more images, or {advice}"
    return Verdict(
        "clean",
        "warn",
        accuracy,
        chance,
        f"clean accuracy is {100 * accuracy:.1f} % of {counted(n, 'image')}. Guessing, at "
        f"{100 * chance:.1f} %, does as well with probability {by_chance:.2g}: {advice}.",
    )


def _check_order(predicted: Predicted) -> Verdict | None:
    """Return a failure if the outputs are in another order than the classes."""
    order = suspected_order(predicted)
    if order is None:
        return None
    accuracy = float((predicted.outputs == predicted.labels).mean())
    return Verdict(
        "clean",
        "fail",
        accuracy,
        order.accuracy,
        f"the outputs of the model are in another order than the classes of the data: clean "
        f"accuracy is {100 * accuracy:.1f} %, but {100 * order.accuracy:.1f} % if {order.name}. "
        f"Put the logits in the order of the data: {list_names(predicted.class_names)}.",
    )


def list_names(names: Sequence[str]) -> str:
    """Return the first and the last names of the classes."""
    return ", ".join(names if len(names) <= 8 else [*names[:5], "...", *names[-2:]])
