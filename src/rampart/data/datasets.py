"""A name to a dataset: a folder, a tar, an embedded task, or a dataset of a public library."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from rampart.data.decode import Decode, Decoded, in_memory
from rampart.data.digits import digit_pairs
from rampart.data.folder import load_folder
from rampart.data.glyphs import glyphs
from rampart.data.readers import is_reader_name, load_reader
from rampart.data.splits import (
    SPLIT_NAMES,
    InMemory,
    Split,
    Splits,
    check_fraction,
    repeated_images,
    set_apart,
)
from rampart.errors import DataError, InvalidArgument
from rampart.plugins import GIVEN

Cache = bool | Literal["auto"]

#: Tasks that need no files: 16 x 16 gray images.
EMBEDDED: dict[str, Callable[[int], Splits]] = {"digit-pairs": digit_pairs, "glyphs": glyphs}
EMBEDDED_SIZE = 16
#: With cache="auto", images are kept in memory up to this many bytes, decoded.
CACHE_LIMIT = 2**30


def load_splits(
    name: str,
    *,
    image_size: int | None = None,
    in_chans: int | None = None,
    seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    root: str = "",
    cache: Cache = "auto",
    options: Mapping[str, Any] | None = None,
) -> Splits:
    """Return the training, validation and test split of a dataset.

    A validation split that is missing is set apart from the training split; a test split that is
    missing is set apart from it too, before that; `notes` says so. Both are stratified and seeded.

    Args:
        name: a folder or .tar (see `rampart.data.folder`), "digit-pairs", "glyphs", or the name in
            a public library ("torch/cifar10", "hfds/org/name").
        image_size: side of the square images, in pixels; by default 224, embedded tasks always 16.
        in_chans: 3 (color) or 1 (gray); by default 3, embedded tasks 1.
        seed: the data's seed (not the run's): runs that are compared share it.
        validation_fraction: fraction of the training images to set apart for validation, in (0, 1).
        test_fraction: fraction of all images to set apart for the test, in (0, 1).
        root: folder for the files of a public library; relative folder names start there too.
        cache: keep decoded images in memory; "auto" does so below 1 GiB.
        options: further arguments for a public library.

    Raises:
        DataError: images or classes that are missing, unreadable or inconsistent.
        InvalidArgument: a size or a fraction that is out of range or does not suit the data, or
            options for data that take none.
        UnknownName: an option that the library does not take.
    """
    check_fraction("validation_fraction", validation_fraction)
    check_fraction("test_fraction", test_fraction)
    reader = name not in EMBEDDED and is_reader_name(name) and not Path(name).exists()
    if options and not reader:
        names = ", ".join(map(str, options))
        raise InvalidArgument("options", names, f"none for '{name}'", "leave them out")
    if name in EMBEDDED:
        return _load_embedded(name, image_size, in_chans, seed)
    decode = Decode(image_size or 224, in_chans or 3)
    notes: list[str] = []
    if reader:
        found = load_reader(name, root, decode, options or {})
    else:
        found, notes = load_folder(require_data(name, root), decode)
    fractions = {"test": test_fraction, "validation": validation_fraction}
    return complete_splits(_read_once(found, cache), notes, fractions, seed)


def require_data(name: str, root: str = "") -> Path:
    """Return the path of a dataset that is no public one; nothing is read.

    Raises:
        DataError: nothing lies there, and no dataset has that name.
    """
    if name.startswith(GIVEN):
        raise DataError(
            f"data '{name}' were given in Python: give them there again, to rampart.finetune or "
            "rampart.evaluate."
        )
    path = Path(root, name).expanduser()
    if path.exists() or name in EMBEDDED or is_reader_name(name):
        return path
    if near := get_close_matches(name, EMBEDDED, n=1):
        raise DataError(f"no folder or dataset '{name}': did you mean {near[0]}?")
    raise DataError(f"data folder '{path}' does not exist; give a folder or a .tar of images.")


def _each(splits: Splits, change: Callable[[Split], Split]) -> Splits:
    return Splits.of({name: change(splits[name]) for name in SPLIT_NAMES}, splits.notes)


def _load_embedded(name: str, image_size: int | None, in_chans: int | None, seed: int) -> Splits:
    if image_size not in (None, EMBEDDED_SIZE):
        raise InvalidArgument(
            "image_size", image_size, f"{EMBEDDED_SIZE}, the only size of '{name}'", "leave it out"
        )
    splits = EMBEDDED[name](seed)
    return _each(splits, _in_color) if in_chans == 3 else splits


def _in_color(split: Split) -> Split:
    assert isinstance(split.pixels, InMemory)
    return replace(split, pixels=InMemory(split.pixels.images.expand(-1, 3, -1, -1)))


def complete_splits(
    found: Mapping[str, Split], notes: Sequence[str], fractions: Mapping[str, float], seed: int
) -> Splits:
    """Return the three splits; what is missing is set apart from the training split, and noted.

    Args:
        found: splits by name, "train" among them.
        notes: of the splits so far.
        fractions: of the images to set apart, by name; the test comes first, so that it does not
            depend on the fraction for validation.
        seed: of the draw.

    Raises:
        DataError: different classes, or an image in two splits.
        InvalidArgument: a fraction too small for one image of each class.
    """
    parts, notes = dict(found), list(notes)
    for name, fraction in fractions.items():
        if name in found:
            continue
        before = len(parts["train"])
        parts["train"], parts[name] = set_apart(parts["train"], fraction, seed, name)
        notes.append(
            f"no {name} split: {len(parts[name])} of {before} training images are set apart for it "
            f"(stratified, seed {seed})."
        )
    pairs = repeated_images(parts)
    if pairs:
        first, second = pairs[0]
        notes.append(
            f"{len(pairs)} image(s) lie in two splits with the same pixels, such as {first} and "
            f"{second}: results on them say nothing of new images."
        )
    return Splits.of(parts, notes)


def _read_once(found: Mapping[str, Split], cache: Cache) -> dict[str, Split]:
    """Decode every image now, or at least look at every header: damage shows before training."""
    total = sum(len(split) for split in found.values()) * found["train"].pixels(0).numel()
    if cache is True or (cache == "auto" and total < CACHE_LIMIT):
        return {name: in_memory(split) for name, split in found.items()}
    for split in found.values():
        if isinstance(split.pixels, Decoded):
            split.pixels.verify()
    return dict(found)
