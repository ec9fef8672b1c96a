"""Splits that a JSON file lists, to use exactly those of somebody else.

`{"train": {path: label, ...}, "validation": {...}, "test": {...}}`, or a folder with `train.json`,
`val.json` and `test.json`, each `{path: label, ...}`. Lists of `[path, label, ...]` are read too,
as in the files `split_zhou_*.json` of CoOp (arXiv 2109.01134).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from rampart.counting import counted
from rampart.data.readers.split_names import known_split
from rampart.data.splits import SPLIT_NAMES, Split, Splits, joined
from rampart.errors import DataError
from rampart.files import write_atomic
from rampart.plain import read_json

#: The label of each image by its path.
Listed = Mapping[str, str | int]


def read_split_file(path: Path) -> dict[str, Listed]:
    """Return the label of each image by its path, for each split.

    Raises:
        DataError: the file cannot be read, has another form, or lists an image twice.
    """
    if path.is_dir():
        files = {file.stem: _read_json(file) for file in sorted(path.glob("*.json"))}
        content: Any = {name: listed for name, listed in files.items() if known_split(name)}
    else:
        content = _read_json(path)
    if not isinstance(content, dict) or not content or not all(map(known_split, content)):
        raise DataError(
            f"split file '{path}' has no splits train, validation and test: write "
            '{"train": {"PATH": "LABEL", ...}, "test": {...}}.'
        )
    splits: dict[str, Listed] = {}
    for name, listed in content.items():
        split = known_split(name) or name
        if split in splits:
            raise DataError(f"split file '{path}' has the split {split} twice.")
        splits[split] = _labels_of(listed, f"'{path}', {name}")
    paths = [one for listed in splits.values() for one in listed]
    if len(set(paths)) < len(paths):
        twice = next(one for one in paths if paths.count(one) > 1)
        raise DataError(f"split file '{path}' lists image '{twice}' in two splits.")
    return splits


def write_split_file(path: Path, splits: Splits) -> None:
    """Write the splits into a file that `read_split_file` reads."""
    content = {
        name: {
            identity: splits.class_names[label]
            for identity, label in zip(splits[name].ids, splits[name].labels, strict=True)
        }
        for name in SPLIT_NAMES
    }
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def paths_of(split: Split) -> Sequence[str]:
    """Return the path of each image, or its id if the images lie in no files of their own."""
    paths: Sequence[str] = getattr(split.pixels, "ids", split.ids)
    return paths


def divide(
    parts: Mapping[str, Split], paths: Mapping[str, Sequence[str]], path: Path
) -> tuple[dict[str, Split], list[str]]:
    """Return the splits that a file lists, from all images of the data, and a note.

    An image is named by its id, or by the last parts of its path. Labels may be names or numbers;
    each must mean one class of the data.

    Args:
        parts: the splits of the data.
        paths: of their images, see `paths_of`.
        path: the file.

    Raises:
        DataError: as `read_split_file`; an image is not in the data, or is not certain; or the
            labels differ from those of the data.
    """
    listed = read_split_file(path)
    whole = joined(parts.values())
    places = _Places(whole.ids, [one for name in parts for one in paths[name]])
    positions = {
        split: [places.find(one, path) for one in images] for split, images in listed.items()
    }
    _check_found(places, whole, path)
    for split, images in listed.items():
        _check_labels(whole, positions[split], list(images.values()), f"'{path}', {split}")
    found = {split: whole.subset(positions[split]) for split in SPLIT_NAMES if split in positions}
    used = sum(map(len, positions.values()))
    rest = len(whole) - used
    left_out = f" It leaves out {counted(rest, 'image')}." if rest else ""
    return found, [f"'{path}' lists the splits.{left_out}"]


class _Places:
    """The positions of images by their ids and by the last parts of their paths."""

    def __init__(self, ids: Sequence[str], paths: Sequence[str]) -> None:
        self.missing: list[str] = []
        self._ids = {identity: place for place, identity in enumerate(ids)}
        self._paths = [PurePosixPath(one).parts for one in paths]
        self._ends: dict[int, dict[tuple[str, ...], list[int]]] = {}

    def find(self, path: str, where: Path) -> int:
        """Return the position of an image; -1 if it is missing, which `missing` collects."""
        if path in self._ids:
            return self._ids[path]
        end = PurePosixPath(path).parts
        if len(end) not in self._ends:
            ends: dict[tuple[str, ...], list[int]] = defaultdict(list)
            for place, parts in enumerate(self._paths):
                ends[parts[-len(end) :]].append(place)
            self._ends[len(end)] = ends
        places = self._ends[len(end)].get(end, [])
        if len(places) > 1:
            raise DataError(
                f"split file '{where}': '{path}' may be {len(places)} images of the data, such as "
                f"'{'/'.join(self._paths[places[0]])}' and '{'/'.join(self._paths[places[1]])}'; "
                "write longer paths."
            )
        if not places:
            self.missing.append(path)
        return places[0] if places else -1


def _check_found(places: _Places, whole: Split, path: Path) -> None:
    if places.missing:
        raise DataError(
            f"split file '{path}' lists {counted(len(places.missing), 'image')} that the data do "
            f"not have, such as '{places.missing[0]}'; an image of the data is "
            f"'{whole.ids[0]}'."
        )


def _check_labels(
    whole: Split, positions: Sequence[int], labels: Sequence[str | int], where: str
) -> None:
    """Refuse labels that are the name of another class, or that mean two classes."""
    meant: dict[str | int, str] = {}
    for place, label in zip(positions, labels, strict=True):
        own = whole.class_names[whole.labels[place]]
        first = meant.setdefault(label, own)
        if first != own or (label in whole.class_names and label != own):
            other = label if first == own else f"{label}, which is also the label of '{first}'"
            raise DataError(
                f"split file {where}: image '{whole.ids[place]}' has the label {other}, but in the "
                f"data it is '{own}'; use the data that the file was made for."
            )


def _read_json(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"split file '{path}' cannot be read ({error}).") from error


def _labels_of(listed: Any, where: str) -> Listed:
    """Return the label of each path of one split; `[path, label, ...]` counts as `path: label`."""
    if isinstance(listed, list) and all(isinstance(one, list) and len(one) > 1 for one in listed):
        pairs = [(one[0], one[1]) for one in listed]
        listed = dict(pairs) if all(isinstance(one, str) for one, _ in pairs) else None
        if listed is not None and len(listed) < len(pairs):
            raise DataError(f"split file {where}: an image is listed twice.")
    if not isinstance(listed, dict) or not listed:
        raise DataError(f'split file {where}: expected {{"PATH": "LABEL", ...}}.')
    for path, label in listed.items():
        if not isinstance(label, str | int) or isinstance(label, bool):
            raise DataError(f"split file {where}: the label of '{path}' is {label!r}.")
    return listed
