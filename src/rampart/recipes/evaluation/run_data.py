"""The data on which a run is evaluated: its own, or others, and what is known about others."""

from dataclasses import replace
from pathlib import Path

from rampart.counting import counted
from rampart.data.datasets import EMBEDDED, read
from rampart.data.decode import Decode
from rampart.data.overlap import may_overlap, pairs_of_copies
from rampart.data.readers.request import Request
from rampart.data.splits import OneSplit, Split, Splits
from rampart.errors import RampartError
from rampart.models.sources import Source
from rampart.plugins import GIVEN
from rampart.recipes.config.exchange import explain_dropped, place_of
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.data_identity import has_same_data, require_same_data
from rampart.recipes.measured import evaluated_part
from rampart.recipes.splits import make_evaluated_splits, make_splits
from rampart.runs.run_folder import RunFolder

#: The start of notes and warnings on other data.
_OTHER = "not the data of the run"


def splits_for_run(
    folder: RunFolder, own: RunConfig, config: RunConfig, source: Source | None
) -> Splits | OneSplit:
    """Return the data of a run, wherever they are now, or other data, with a note.

    Raises:
        RunError: the images of the run have changed.
    """
    if place_of(own.data.root, own.data.name) == place_of(config.data.root, config.data.name):
        splits = make_splits(config, source)
        require_same_data(folder, splits)
        return splits
    other = make_evaluated_splits(config, source)
    if has_same_data(folder, other):
        return other
    dropped = explain_dropped("data", own.data.model_dump(), config.data.model_dump())
    images = evaluated_part(config, other)
    seen = _seen_in_training(folder, own, images, source)
    unseen = [] if seen else [_explain_unseen(seen, own.data.name)]
    notes = (*other.notes, *unseen, *filter(None, [dropped]))
    warnings = (*other.warnings, *([_explain_seen(seen, len(images))] if seen else []))
    return replace(other, notes=notes, warnings=warnings)


def _seen_in_training(
    folder: RunFolder, own: RunConfig, images: Split, source: Source | None
) -> list[tuple[str, str]] | None:
    """Return (training image, image) for copies of training images; None if these are not there."""
    try:
        overlap = may_overlap(images, _files_of(own))
        if not overlap:
            return None if overlap is None else []
        data = own.data.model_copy(update={"cache": False})
        splits = make_splits(own.model_copy(update={"data": data}), source)
        require_same_data(folder, splits)
        return pairs_of_copies(images, splits.train)
    except (RampartError, OSError):
        return None


def _files_of(own: RunConfig) -> dict[str, Split]:
    """Return all images of a run's data, if they are files on this machine; {} otherwise."""
    data = own.data
    if (
        data.name in EMBEDDED
        or data.name.startswith(GIVEN)
        or not Path(data.root, data.name).exists()
    ):
        return {}
    splits = data.splits.model_dump(exclude_none=True)
    found, _ = read(Request(data.name, Decode(8), data.root, data.options, splits, download=False))
    return found


def _explain_unseen(seen: list[tuple[str, str]] | None, own: str) -> str:
    if seen is None:
        return (
            f"{_OTHER}: if images that it was trained on are among them, the figures are too high."
        )
    return f"{_OTHER}: no image is a training image, byte for byte, as they now lie in '{own}'."


def _explain_seen(seen: list[tuple[str, str]], images: int) -> str:
    known, image = seen[0]
    return (
        f"{_OTHER}, but copies of images that it was trained on: {len(seen)} of "
        f"{counted(images, 'image')} ({image} is a copy of {known}); the figures are too high, "
        "leave them out."
    )
