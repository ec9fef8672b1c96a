"""Shards of WebDataset: tars in which files of one name and several endings are one sample.

`train-000000.tar` holds `0001.jpg` and `0001.cls`, `0002.jpg` and `0002.cls`, and so on. Data are
one tar, the tars of a folder, or a name with a range: `train-{000000..000009}.tar`.
"""

import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from rampart.counting import counted
from rampart.data.decode import Decoded, ImageFile
from rampart.data.labels import number_labels
from rampart.data.naming import RANGE, is_range
from rampart.data.readers.archive import members_of
from rampart.data.readers.request import Found, Request
from rampart.data.readers.split_names import choose_splits, known_split
from rampart.data.readers.tree import IMAGE_SUFFIXES
from rampart.data.splits import Labels, Split
from rampart.errors import DataError
from rampart.files import read_text, require_file

OPTIONS = ("input_key", "target_key")
#: A file beside the shards that names the classes, one on each line, for labels that are numbers.
CLASS_NAMES = "classnames.txt"
#: The ending of labels unless the option "target_key" names another.
LABEL = "cls"
#: Number of members of a tar that are looked at to tell whether it is a shard.
_FIRST = 20


@dataclass(frozen=True)
class Sample:
    """A sample: its files by their endings, without the first dot.

    Attributes:
        key: names of the shard and of the sample.
        files: places in the shard.
    """

    key: str
    files: Mapping[str, ImageFile]


def shards_of(path: Path) -> list[Path]:
    """Return the shards that a path means: a range, a tar, or a folder; [] if it has none.

    Raises:
        DataError: a shard of a range does not exist.
    """
    if is_range(str(path)):
        return _expand(str(path))
    if path.is_dir():
        found = sorted([*path.glob("*.tar"), *path.glob("*/*.tar")], key=_in_order)
    else:
        found = [path] if path.suffix.lower() == ".tar" else []
    return found if found and _is_shard(found[0]) else []


def load_shards(path: Path, shards: Sequence[Path], request: Request) -> Found:
    """Return the splits in shards, and notes.

    The split of a shard is the name of its folder, or its own name without the number; without a
    usual name all are in "train". Labels are files that end in .cls, with a number or a text. The
    option "target_key" names another ending, or a key in a file of JSON, as in "json.label";
    "input_key" names the ending of the images.

    Args:
        path: of the data.
        shards: as `shards_of` returns them.
        request: with the options.

    Raises:
        UnknownName: no such option.
        DataError: a shard cannot be read, a sample lacks its image or its label, or a label is not
            one class.
    """
    request.require_options("shards", OPTIONS)
    top = path if path.is_dir() else shards[0].parent
    by_name: dict[str, list[Path]] = defaultdict(list)
    for shard in shards:
        by_name[_own_split(shard, top)].append(shard)
    own, notes = _choose(list(by_name), request, path)
    samples = {
        split: [one for shard in by_name[name] for one in _read_shard(shard, top)]
        for split, name in own.items()
    }
    target = str(request.options.get("target_key", LABEL))
    labels = {split: [_label(one, target) for one in part] for split, part in samples.items()}
    classes, numbers = _numbered(labels, top)
    found = {}
    for split, part in samples.items():
        ids = [one.key for one in part]
        images = [_image(one, request.options.get("input_key")) for one in part]
        found[split] = Split(ids, numbers[split], classes, Decoded(images, ids, request.decode))
    return found, [f"{counted(len(shards), 'shard')} in '{path}'.", *_gaps(by_name), *notes]


def _gaps(by_name: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return a note for each split in which a number between the first and the last is missing."""
    notes = []
    for name, shards in by_name.items():
        numbers = {_in_order(shard)[1] for shard in shards}
        span = range(min(numbers), max(numbers))
        # Numbers such as dates do not count shards.
        missing = [number for number in span if number not in numbers] if len(span) < 10**5 else []
        if missing:
            notes.append(
                f"{name}: there are shards {min(numbers)} to {max(numbers)}, but without "
                f"{', '.join(map(str, missing[:3]))}{', ...' if len(missing) > 3 else ''}."
            )
    return notes


def _expand(name: str) -> list[Path]:
    """Return the paths of a name with ranges; all must exist."""
    texts = RANGE.split(name)[::3]
    ranges = [
        [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
        for first, last in RANGE.findall(name)
    ]
    paths = [
        Path("".join(a + b for a, b in zip(texts, [*numbers, ""], strict=True)))
        for numbers in product(*ranges)
    ]
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        such = f", such as '{missing[0]}'" if missing else ""
        raise DataError(
            f"'{name}' means {counted(len(paths), 'shard')}, but {len(missing)} of them cannot be "
            f"found{such}."
        )
    return paths


def _in_order(path: Path) -> tuple[str, int, str]:
    """Order shards by folder and number: 2.tar before 10.tar."""
    numbers = re.findall("[0-9]+", path.stem)
    return str(path.parent), int(numbers[-1]) if numbers else -1, path.name


def _is_shard(path: Path) -> bool:
    """Whether a tar begins with samples: an image beside a label, or beside JSON in no folder."""
    try:
        require_file(path)
        with tarfile.open(path, mode="r:") as archive:
            members = [one for one in islice(archive, _FIRST) if one.isfile()]
    # Damage raises errors of many kinds; the reader of all members reports it.
    except Exception:
        return False
    endings: dict[str, set[str]] = defaultdict(set)
    for member in members:
        key, ending = _parts(member.name)
        endings[key].add(ending)
    return any(
        any(map(_is_image, found)) and (LABEL in found or ("json" in found and "/" not in key))
        for key, found in endings.items()
    )


def _parts(name: str) -> tuple[str, str]:
    """Return key and ending: `a/b.seg.png` is `a/b` and `seg.png`."""
    path = PurePosixPath(name)
    stem, _, ending = path.name.partition(".")
    return (path.parent / stem).as_posix(), ending.lower()


def _is_image(ending: str) -> bool:
    return f".{ending}" in IMAGE_SUFFIXES


def _own_split(shard: Path, top: Path) -> str:
    """Return the folder of a shard below `top`, or its name without the number."""
    if shard.parent != top:
        return shard.parent.name
    return re.sub("[-_.]*[0-9]+$", "", shard.stem) or "shards"


def _choose(own: list[str], request: Request, path: Path) -> tuple[dict[str, str], list[str]]:
    if len(own) == 1 and not request.splits:
        return {known_split(own[0]) or "train": own[0]}, []
    return choose_splits(own, request.splits, f"'{path}'")


def _read_shard(path: Path, top: Path) -> list[Sample]:
    try:
        members = members_of(path)
    except (tarfile.TarError, OSError) as error:
        raise DataError(
            f"shard '{path}' is not an uncompressed tar ({error}); fetch it again."
        ) from error
    files: dict[str, dict[str, ImageFile]] = defaultdict(dict)
    for member in members:
        if member.isdir():
            continue
        if not member.isfile():
            raise DataError(
                f"shard '{path}' holds {member.name!a}, a link or a special file; write it again "
                "with files alone."
            )
        key, ending = _parts(member.name)
        if PurePosixPath(key).name.startswith("_"):
            # A name with an underscore stands for facts about the whole shard.
            continue
        if ending in files[key]:
            raise DataError(f"shard '{path}' has two files '{key}.{ending}'; write it again.")
        files[key][ending] = ImageFile(path, member.offset_data, member.size)
    prefix = path.relative_to(top).with_suffix("").as_posix()
    return [Sample(f"{prefix}/{key}", found) for key, found in files.items() if key]


def _image(sample: Sample, ending: str | None) -> ImageFile:
    if ending is not None and ending in sample.files:
        return sample.files[ending]
    images = [one for one in sample.files if _is_image(one)]
    if ending is None and len(images) == 1:
        return sample.files[images[0]]
    raise DataError(
        f"sample '{sample.key}' has {counted(len(images), 'image')}, with the files "
        f"{', '.join(sample.files)}: write data.options.input_key=ENDING."
    )


def _label(sample: Sample, target: str) -> Any:
    ending, _, key = target.partition(".") if target not in sample.files else (target, "", "")
    if ending not in sample.files:
        raise DataError(
            f"sample '{sample.key}' has no label .{ending}, only {', '.join(sample.files)}: write "
            "data.options.target_key=ENDING, or json.KEY for a key in JSON."
        )
    text = sample.files[ending].read().decode("utf-8", errors="replace").strip()
    if not key:
        return text
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"'{sample.key}.{ending}' cannot be read ({error}).") from error
    if not isinstance(content, dict) or key not in content:
        has = ", ".join(content) if isinstance(content, dict) else "no keys"
        raise DataError(f"'{sample.key}.{ending}' has no key '{key}', only {has}.")
    return content[key]


def _numbered(
    labels: Mapping[str, Sequence[Any]], top: Path
) -> tuple[Sequence[str], dict[str, Labels]]:
    """Return classes and labels; labels are positions in the file of class names, if it exists."""
    file = top / CLASS_NAMES
    values = [label for part in labels.values() for label in part]
    if not (file.is_file() and all(re.fullmatch("[0-9]+", str(one)) for one in values)):
        return number_labels(labels, f"'{top}'")
    names = read_text(file).split("\n")
    names = [name.strip() for name in names if name.strip()]
    return names, {
        split: np.array([int(label) for label in part], dtype=np.int64)
        for split, part in labels.items()
    }
