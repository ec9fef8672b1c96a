"""A folder that `save_to_disk` of the package `datasets` wrote, with splits or without."""

from pathlib import Path

from rampart.data.readers.hub import COLUMNS, splits_of_datasets
from rampart.data.readers.request import Found, Request
from rampart.data.readers.split_names import choose_splits
from rampart.errors import DataError, reason
from rampart.extras import require_extra

#: Files that such a folder holds: for a dataset with splits, and without.
_MARKS = ("dataset_dict.json", "state.json")


def is_saved(path: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any((path / mark).is_file() for mark in _MARKS)


def load_saved(path: Path, request: Request) -> Found:
    """Return the splits in a folder, and notes; a dataset without splits is "train".

    The options "input_key" and "target_key" name the columns of images and labels.

    Raises:
        MissingExtra: the package `datasets` is not installed.
        UnknownName: no such option.
        DataError: the folder cannot be read, or the columns do not fit.
    """
    require_extra("datasets", "hub", f"folder '{path}'")
    from datasets import DatasetDict, load_from_disk

    request.require_options("a saved dataset", COLUMNS)
    try:
        content = load_from_disk(str(path))
    # Files of Arrow and JSON raise errors of many kinds.
    except Exception as error:
        raise DataError(
            f"'{path}' holds a dataset of the package `datasets` that cannot be read "
            f"({reason(error)}); save it again."
        ) from error
    published = content if isinstance(content, DatasetDict) else {"train": content}
    own, notes = choose_splits(published, request.splits, f"'{path}'")
    tables = {split: published[name] for split, name in own.items()}
    return splits_of_datasets(tables, own, request, f"'{path}'"), notes
