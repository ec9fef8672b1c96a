"""A CSV or Parquet file that lists images: a path, a label and perhaps a split in each row.

The first line of a CSV names the columns. Columns are recognized by their usual names, and by
those only if it is certain which one is meant. Paths are relative to the folder of the file.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rampart.counting import counted
from rampart.data.decode import Decoded, ImageFile
from rampart.data.labels import number_labels
from rampart.data.readers.folder import TABLES
from rampart.data.readers.images_in_parquet import how_to_read
from rampart.data.readers.request import Found, Request
from rampart.data.readers.split_names import choose_splits
from rampart.data.splits import ONE_LABEL, Split
from rampart.errors import DataError, shown
from rampart.files import require_file

SUFFIXES = TABLES
#: Usual names of the columns, by the option that names another one.
COLUMNS = {
    "input_key": (
        *("path", "file", "filename", "file_name", "filepath", "file_path"),
        *("image", "image_path", "image_file", "img", "img_path"),
    ),
    "target_key": ("label", "class", "target", "category", "class_name", "label_name"),
    "split_key": ("split", "set", "subset", "partition"),
}
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
Columns = Mapping[str, Sequence[Any]]


def load_table(path: Path, request: Request) -> Found:
    """Return the splits of the images in a table, and notes.

    The options "input_key", "target_key" and "split_key" name the columns of paths, labels and
    splits. Without a column of splits all images are in "train".

    Raises:
        UnknownName: no such option.
        DataError: the file cannot be read, a column is missing or not certain, an image does not
            exist or is listed twice, or a label is not one class.
    """
    request.require_options("a table", COLUMNS)
    columns = _read_columns(path)
    keys = {key: _find_column(columns, key, request.options.get(key), path) for key in COLUMNS}
    if keys["input_key"] == keys["target_key"]:
        raise DataError(f"column '{keys['input_key']}' of '{path}' cannot hold paths and labels.")
    paths, labels = columns[keys["input_key"] or ""], columns[keys["target_key"] or ""]
    _require_images(path, paths, labels)
    rows, notes = _rows_by_split(path, columns, keys["split_key"], request)
    where = f"column '{keys['target_key']}' of '{path}'"
    classes, numbers = number_labels(
        {split: [labels[row] for row in chosen] for split, chosen in rows.items()}, where
    )
    if len(classes) < 2:
        raise DataError(f"{where} has only one class, '{classes[0]}'; give at least two.")
    found = {}
    for split, chosen in rows.items():
        ids = [paths[row] for row in chosen]
        files = [ImageFile(path.parent / identity) for identity in ids]
        found[split] = Split(ids, numbers[split], classes, Decoded(files, ids, request.decode))
    return found, notes


def _read_columns(path: Path) -> Columns:
    """Return the columns of a file by their names; those of a CSV hold text."""
    try:
        require_file(path)
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            return pq.read_table(path).to_pydict()
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        with path.open(encoding="utf-8-sig", newline="") as file:
            names, *rows = [row for row in csv.reader(file, delimiter=delimiter) if row] or [[]]
    except UnicodeError as error:
        raise DataError(f"'{path}' cannot be read ({error}); save it as CSV UTF-8.") from error
    # pyarrow raises errors of many kinds.
    except Exception as error:
        raise DataError(f"'{path}' cannot be read ({str(error).splitlines()[0]}).") from error
    if not names:
        raise DataError(f"'{path}' is empty; its first line names the columns.")
    other = next((one for one in ";\t|," if one != delimiter and one in names[0]), None)
    if len(names) == 1 and other:
        raise DataError(
            f"'{path}' has one column, '{shown(names[0])}': save it with {_SEPARATORS[delimiter]} "
            f"between the columns, not with {_SEPARATORS[other]}."
        )
    if len(set(names)) < len(names):
        raise DataError(f"'{path}' has two columns with one name: {', '.join(names)}.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise DataError(
                f"row {number} of '{path}' has {counted(len(row), 'value')}, but the file has "
                f"{counted(len(names), 'column')}: {', '.join(names)}."
            )
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _find_column(columns: Columns, key: str, given: str | None, path: Path) -> str | None:
    """Return the column for an option; None for a table without a column of splits."""
    if given is not None and given in columns:
        return given
    has = f"'{path}' has the columns {', '.join(columns) or 'none'}"
    if given is not None:
        raise DataError(f"data.options.{key}={given}: {has}.")
    usual = [name for name in columns if _plain(name) in COLUMNS[key]]
    if len(usual) == 1:
        return usual[0]
    if key == "split_key" and not usual:
        return None
    role = {"input_key": "paths", "target_key": "labels", "split_key": "splits"}[key]
    raise DataError(
        f"{has}: it is not certain which one holds the {role}; write data.options.{key}=COLUMN. "
        "The first line names the columns."
    )


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _require_images(path: Path, paths: Sequence[Any], labels: Sequence[Any]) -> None:
    """Refuse paths that are not text, are listed twice, or lead to nothing."""
    if not len(paths):
        raise DataError(f"'{path}' lists no images.")
    seen: dict[str, Any] = {}
    for row, (one, label) in enumerate(zip(paths, labels, strict=True)):
        if not isinstance(one, str) or not one:
            settings = how_to_read(path) if isinstance(one, dict) else ""
            inside = f"; the images are inside the file: write {settings}" if settings else ""
            raise DataError(f"row {row} of '{path}' has no path but {type(one).__name__}{inside}.")
        if one in seen:
            other = "; remove one of the two rows"
            if seen[one] != label:
                other = f" with the labels {seen[one]} and {label}; {ONE_LABEL}"
            raise DataError(f"'{path}' lists image '{one}' twice{other}.")
        seen[one] = label
    missing = [one for one in paths if not (path.parent / one).is_file()]
    if missing:
        raise DataError(
            f"'{path}' lists images that do not exist: {len(missing)} of {len(paths)}, such as "
            f"'{missing[0]}'; paths are relative to '{path.parent}'."
        )


def _rows_by_split(
    path: Path, columns: Columns, key: str | None, request: Request
) -> tuple[dict[str, list[int]], list[str]]:
    """Return the rows of each split, and notes."""
    if key is None:
        if request.splits:
            raise DataError(
                f"'{path}' has no column of splits, only {', '.join(columns)}: leave data.splits "
                "out, or write data.options.split_key=COLUMN."
            )
        return {"train": list(range(len(next(iter(columns.values())))))}, []
    values = [str(value) for value in columns[key]]
    own, notes = choose_splits(values, request.splits, f"column '{key}' of '{path}'")
    rows = {
        split: [row for row, value in enumerate(values) if value == name]
        for split, name in own.items()
    }
    return rows, notes
