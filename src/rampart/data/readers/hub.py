"""Datasets of the Hugging Face hub, `hfds/<name>`, with their published splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rampart.data.decode import Decode, Decoded
from rampart.data.labels import number_labels
from rampart.data.readers.hub_download import Place, download
from rampart.data.readers.request import Found, Request
from rampart.data.readers.split_names import choose_splits
from rampart.data.splits import Labels, Split
from rampart.errors import DataError
from rampart.files import read_bytes

COLUMNS = ("input_key", "target_key")
PLACES = ("revision", "config", "data_dir")


@dataclass(frozen=True)
class HubImage:
    """An encoded image in a row of a dataset.

    Attributes:
        rows: the dataset, whose column of images is not decoded.
        column: of the images.
        index: of the row.
    """

    rows: Any
    column: str
    index: int

    def read(self) -> bytes:
        """Return the encoded bytes; raise `ValueError` if the row has no image."""
        cell = self.rows[self.index][self.column] or {}
        if cell.get("bytes"):
            return cell["bytes"]
        if not cell.get("path"):
            raise ValueError("the row has no image")
        return read_bytes(Path(cell["path"]))


def load_hub(request: Request) -> Found:
    """Return the published splits of a dataset on the hub; errors as `load_library`."""
    where = f"hfds/{request.rest}"
    request.require_options("a hub dataset", (*COLUMNS, *PLACES))
    chosen = {name: request.options[name] for name in PLACES if name in request.options}
    place = Place(request.rest, **chosen, cache=request.root, cache_only=not request.download)
    published, notes = download(place)
    own, unused = choose_splits(published, request.splits, f"dataset '{where}'")
    tables = {split: published[name] for split, name in own.items()}
    return splits_of_datasets(tables, own, request, where), [*notes, *unused]


def splits_of_datasets(
    tables: Mapping[str, Any], own: Mapping[str, str], request: Request, where: str
) -> dict[str, Split]:
    """Return the splits of tables of the package `datasets`.

    Args:
        tables: a `datasets.Dataset` for each split.
        own: the name of each split in the data.
        request: with the options "input_key" and "target_key", the columns of images and labels.
        where: the name of the data, for error messages.

    Raises:
        DataError: a column is missing or not certain, or a label is not one class.
    """
    features = next(iter(tables.values())).features
    image, label = (
        request.options.get(key) or _column(features, kind, usual, key, where)
        for key, kind, usual in (
            ("input_key", "Image", "image"),
            ("target_key", "ClassLabel", "label"),
        )
    )
    for key, column in (("input_key", image), ("target_key", label)):
        if column not in features:
            has = ", ".join(features)
            raise DataError(f"data.options.{key}={column}: {where} has the columns {has}.")
    classes, labels = _labels(tables, label, where)
    return {
        split: Split(
            [f"{own[split]}/{index}" for index in range(len(table))],
            labels[split],
            classes,
            _pixels(table, image, f"{where} {own[split]}", request.decode),
        )
        for split, table in tables.items()
    }


def _column(features: Mapping[str, Any], kind: str, usual: str, key: str, where: str) -> str:
    """Return the column of this kind, or with the usual name; refuse to guess among several."""
    found = [name for name, feature in features.items() if type(feature).__name__ == kind]
    if usual in features:
        return usual
    if len(found) == 1:
        return found[0]
    raise DataError(
        f"{where} has no column '{usual}', only {', '.join(features)}: write "
        f"data.options.{key}=COLUMN."
    )


def _labels(
    tables: Mapping[str, Any], column: str, where: str
) -> tuple[Sequence[str], dict[str, Labels]]:
    """Return the classes and the label of each row; classes without names are derived."""
    feature = next(iter(tables.values())).features[column]
    columns = {name: list(table[column]) for name, table in tables.items()}
    names = getattr(feature, "names", None)
    if names is None:
        return number_labels(columns, f"column '{column}' of {where}")
    missing = [name for name, labels in columns.items() if None in labels]
    if missing:
        raise DataError(f"column '{column}' of {where} has rows without a label in {missing[0]}.")
    return names, {name: np.array(labels, dtype=np.int64) for name, labels in columns.items()}


def _pixels(table: Any, column: str, where: str, decode: Decode) -> Decoded:
    from datasets import Image

    rows = table.select_columns([column]).cast_column(column, Image(decode=False))
    files = [HubImage(rows, column, index) for index in range(len(rows))]
    return Decoded(files, [f"{where}[{index}]" for index in range(len(rows))], decode)
