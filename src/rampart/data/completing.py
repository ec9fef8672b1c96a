"""The three splits of data that define fewer: missing ones are taken from the training images."""

from collections.abc import Mapping, Sequence

import numpy as np

from rampart.counting import counted
from rampart.data.catalogue import Counts
from rampart.data.copies import count_copies, warn_of_copies
from rampart.data.looking import note_changes
from rampart.data.set_apart import USUAL_FRACTIONS, Number, set_apart
from rampart.data.splits import SPLIT_NAMES, Split, Splits


def complete_splits(
    found: Mapping[str, Split],
    notes: Sequence[str],
    fractions: Mapping[str, float],
    seed: int,
    per_class: Counts | None = None,
) -> Splits:
    """Return the three splits; missing ones are taken from the training split, with a note.

    Args:
        found: splits by name, with "train".
        notes: notes so far.
        fractions: fraction of the images for each split by its name; "test" comes first, so that it
            does not depend on the fraction for validation.
        seed: of the draw.
        per_class: images of each class in the training and the validation split, instead of
            fractions; all others are for the test.

    Raises:
        DataError: the classes differ, or an image lies in two splits.
        InvalidArgument: a fraction is too small for one image of each class.
    """
    parts, notes = dict(found), list(notes)
    for name, fraction in fractions.items():
        if name in found:
            if fraction != USUAL_FRACTIONS[name]:
                notes.append(f"{name}_fraction={fraction} has no effect: the data have this split.")
            continue
        before, copies = len(parts["train"]), count_copies(parts["train"])
        number, how = _number(per_class or {}, name)
        parts["train"], parts[name] = set_apart(parts["train"], fraction, seed, name, number)
        notes.append(
            f"no {name} split: {len(parts[name])} of {before} training images are used for it "
            f"({how}, seed {seed})."
            + (f" Copies stay together ({counted(copies, 'image')})." if copies else "")
        )
    notes += note_changes(parts)
    ordered = {name: parts[name] for name in SPLIT_NAMES}
    warnings = [*_warn_of_empty_classes(parts["train"]), *warn_of_copies(ordered)]
    return Splits.of(parts, notes, warnings)


def _number(per_class: Counts, name: str) -> tuple[Number | None, str]:
    """Return the images of each class for a split, None for its fraction, and words for it."""
    if not per_class:
        return None, "stratified"
    validation = per_class["validation"]
    kept = per_class["train"] + validation
    if name == "test":
        return lambda size: size - kept, f"all but {kept} of each class"
    return lambda size: validation, f"{validation} of each class"


def _warn_of_empty_classes(train: Split) -> list[str]:
    """Return a warning of classes without a training image, as with labels that begin at 1."""
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    empty = np.flatnonzero(counts == 0).tolist()
    if not empty:
        return []
    return [
        f"without a training image: {len(empty)} of {counted(len(counts), 'class')}, such as "
        f"'{train.class_names[empty[0]]}': number the labels from 0 without gaps, unless the "
        "outputs of the model need these numbers."
    ]
