"""The splits that data define, and those of a training or an evaluation that come from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rampart.counting import counted
from rampart.data.catalogue import Counts
from rampart.data.completing import complete_splits
from rampart.data.copies import warn_of_copies
from rampart.data.looking import note_changes
from rampart.data.splits import (
    SPLIT_NAMES,
    OneSplit,
    Split,
    Splits,
    check_same_classes,
    joined,
)
from rampart.errors import DataError, InvalidArgument


def without_validation(
    parts: Mapping[str, Split], notes: Sequence[str]
) -> tuple[dict[str, Split], list[str]]:
    """Return the splits and notes of data whose validation images become training images.

    Data without a training or a validation split stay as they are.
    """
    found = dict(parts)
    if not {"train", "validation"} <= found.keys():
        return found, list(notes)
    own = found.pop("validation")
    check_same_classes({"train": found["train"], "validation": own}, "validation")
    found["train"] = joined([found["train"], own])
    note = f"the {counted(len(own), 'image')} of the data's validation split are training images."
    return found, [*notes, note]


@dataclass(frozen=True)
class DefinedSplits:
    """The splits that a dataset defines, before missing ones are taken from the training split.

    Attributes:
        name: of the dataset.
        parts: splits by name; at least one.
        notes: sentences on how they were read.
        fractions: of the images, for each split that may have to be taken from the training split.
        seed: of that draw.
        per_class: images of each class in the training and the validation split, which replace
            fractions; {} for fractions.
    """

    name: str
    parts: Mapping[str, Split]
    notes: Sequence[str]
    fractions: Mapping[str, float]
    seed: int
    per_class: Counts

    def splits(self) -> Splits:
        """Return the three splits for a training; errors as `load_splits`."""
        if "train" not in self.parts:
            raise DataError(
                f"'{self.name}' has a split {' and '.join(self.parts)} but no split train: a "
                "training needs one, `rampart evaluate` does not; data.splits.train names it."
            )
        return complete_splits(self.parts, self.notes, self.fractions, self.seed, self.per_class)

    def evaluated(self, split: str) -> Splits | OneSplit:
        """Return the splits for an evaluation of one of them, or of "all" images.

        An evaluation needs no training images. If there are some, the missing splits are taken from
        them as for a training, so that both use the same images.

        Raises:
            DataError: the data have neither this split nor training images; or as `load_splits`.
            InvalidArgument: as `load_splits`.
        """
        if split == "all":
            for name in self.parts:
                check_same_classes(self.parts, name)
            ordered = [self.parts[name] for name in SPLIT_NAMES if name in self.parts]
            return self._only(joined(ordered))
        if split in self.parts and "train" not in self.parts:
            return self._only(self.parts[split])
        if "train" not in self.parts:
            first = next(iter(self.parts))
            raise DataError(
                f"'{self.name}' has no split {split}, only {' and '.join(self.parts)}: write "
                f"evaluation.split={first}, or evaluation.split=all for every image."
            )
        try:
            splits = self.splits()
        # Too few images for three splits are enough for one.
        except (DataError, InvalidArgument) as error:
            if split in self.parts:
                return self._only(self.parts[split])
            advice = "or write evaluation.split=all to evaluate every image"
            raise DataError(f"{str(error).rstrip('.')}; {advice}.") from error
        if split in self.parts:
            return splits
        return replace(splits, notes=(*splits.notes, "evaluation.split=all evaluates every image."))

    def _only(self, split: Split) -> OneSplit:
        notes = (*self.notes, *note_changes({"": split}))
        return OneSplit(split, notes, tuple(warn_of_copies({"": split})))
