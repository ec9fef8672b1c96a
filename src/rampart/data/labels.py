"""From the labels that data state, as text or numbers, to classes and their positions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rampart.counting import counted
from rampart.data.spelling import look_alike
from rampart.data.splits import ONE_LABEL, Labels
from rampart.errors import DataError


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of classes in order: as numbers if all are whole numbers, else as text."""
    names = list(names)
    if all(re.fullmatch("[+-]?[0-9]+", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def number_labels(
    columns: Mapping[str, Sequence[Any]], where: str
) -> tuple[list[str], dict[str, Labels]]:
    """Return the classes that labels name, and each label as a position in them.

    Args:
        columns: the labels of each split by its name, as text, whole numbers or booleans.
        where: the place of the labels, for error messages.

    Returns:
        the classes of the training split, or of all splits without one, in the order of
        `in_order`; and for each split (N,) int64.

    Raises:
        DataError: a label is missing, is not one class, does not occur in the training split, or
            differs from another one only in spaces or the form of letters.
    """
    named = {
        split: [_name_of(label, f"{where}, {split} {row}") for row, label in enumerate(column)]
        for split, column in columns.items()
    }
    known = named["train"] if "train" in named else [one for part in named.values() for one in part]
    classes = in_order(set(known))
    if alike := look_alike(classes, case=False):
        raise DataError(
            f"{where}: the classes {alike[0]!a} and {alike[1]!a} differ only in spaces or "
            "the form of letters; write them alike."
        )
    position = {name: number for number, name in enumerate(classes)}
    for split, names in named.items():
        unknown = in_order(set(names) - position.keys())
        if unknown:
            listed = ", ".join(f"'{name}'" for name in unknown[:3])
            raise DataError(
                f"{where}: {split} has {counted(len(unknown), 'label')} that train lacks, such as "
                f"{listed}; use the same classes in each split."
            )
    numbered = {
        split: np.array([position[name] for name in names], dtype=np.int64)
        for split, names in named.items()
    }
    return classes, numbered


def _name_of(label: Any, where: str) -> str:
    if isinstance(label, str | int | np.integer | np.bool_) and label != "":
        return str(label)
    if label is None or isinstance(label, str):
        raise DataError(f"{where} has no label; add it or remove the image.")
    raise DataError(
        f"{where} has the label {label!r}: expected one name or whole number; {ONE_LABEL}."
    )
