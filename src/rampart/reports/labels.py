"""The result of a check of labels in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from rampart.reports.percent import percent

#: Below this agreement between heads and labels, many suspects may have the right label.
_WEAK = 0.5


def label_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return what a check of labels has found, and how far it can be trusted.

    Args:
        summary: of `LabelCheck`.
    """
    agreement, suspects = summary["agreement"], summary["suspects"]
    lines = [
        f"{suspects:,} of {summary['images']:,} training images have a label that is likely wrong; "
        "no label was changed.",
        f"Linear heads that did not see the image agree with {percent(agreement)} of the labels.",
    ]
    if agreement < _WEAK:
        lines.append(
            "This is little: either many labels are wrong, or the features of the backbone tell "
            "the classes apart poorly, and then many labels in the list are right."
        )
    if noise := summary.get("noise"):
        lines.append(
            f"Of the labels that data.label_noise made wrong, {percent(noise['recall'])} are in "
            f"the list, and {percent(noise['precision'])} of the list are such labels."
        )
    return lines


def example_lines(rows: Sequence[Mapping[str, Any]], most: int = 5) -> list[str]:
    """Return the first suspects, one in a line."""
    return [
        f"{row['image']}: labeled {row['label']} ({percent(row['probability'])}), rather "
        f"{row['likelier']} ({percent(row['probability_of_likelier'])})"
        for row in rows[:most]
    ]
