"""Loading a dataset by name: a folder, a tar, an embedded task or one of a public library."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from rampart.choices import Resize, Validation
from rampart.data.catalogue import Counts, catalogue
from rampart.data.decode import Decode, in_memory
from rampart.data.defined_splits import DefinedSplits, without_validation
from rampart.data.digits import digit_pairs
from rampart.data.glyphs import glyphs
from rampart.data.looking import with_facts
from rampart.data.memory import cache_limit
from rampart.data.naming import is_library_name, require_data
from rampart.data.readers.catalogued import load_catalogued
from rampart.data.readers.folder import load_folder
from rampart.data.readers.library import load_library
from rampart.data.readers.request import Found, Request
from rampart.data.readers.saved import is_saved, load_saved
from rampart.data.readers.shards import load_shards, shards_of
from rampart.data.readers.table import SUFFIXES, load_table
from rampart.data.set_apart import USUAL_FRACTIONS, check_fraction
from rampart.data.split_file import divide, paths_of
from rampart.data.splits import (
    SPLIT_NAMES,
    InMemory,
    Split,
    Splits,
)
from rampart.errors import InvalidArgument

Cache = bool | Literal["auto"]

#: Tasks without files: 16 x 16 gray images.
EMBEDDED: dict[str, Callable[[int], Splits]] = {"digit-pairs": digit_pairs, "glyphs": glyphs}
EMBEDDED_SIZE = 16


class DataOptions(TypedDict, total=False):
    """How a dataset is read; every key may be left out.

    Attributes:
        image_size: side of the square images, in pixels; by default 224; embedded tasks have 16.
        in_chans: 3 (color) or 1 (gray); by default 3, or 1 for embedded tasks.
        resize: "crop" (default) resizes the shorter side and crops the center; "squash" resizes
            both sides, which changes the aspect ratio. Embedded tasks are squares already.
        seed: seed of the data, not of the run; runs to compare need the same one.
        validation: "official" (default) takes the validation split of the data, if there is one;
            "drawn" adds its images to the training images, and draws a split from both.
        validation_fraction: fraction of the training images for validation, in (0, 1); 0.1.
        test_fraction: fraction of all images for the test, in (0, 1); 0.2.
        root: folder for the files of a public library, and parent of a relative folder name.
        cache: keep decoded images in memory; "auto" does so if they take less than a quarter of
            the memory that is free.
        options: further arguments for a public library or a table.
        splits: the name in the data of each split, as in {"train": "seg_train"}: of a folder, of a
            split on the hub, or in the table's column of splits. By default usual names are
            recognized.
        split_file: a JSON file that lists the images of each split (see `rampart.data.split_file`).
    """

    image_size: int | None
    in_chans: int | None
    resize: Resize
    seed: int
    validation: Validation
    validation_fraction: float
    test_fraction: float
    root: str
    cache: Cache
    options: Mapping[str, Any] | None
    splits: Mapping[str, str] | None
    split_file: str | None


def load_splits(name: str, **how: Unpack[DataOptions]) -> Splits:
    """Return the training, validation and test split of a dataset.

    Missing splits are taken from the training split, first the test and then the validation split.
    Both draws are stratified and seeded, and `notes` reports them.

    Args:
        name: a folder or .tar of images (see `rampart.data.readers.folder`), a .csv or .parquet of
            paths and labels (`readers.table`), shards of WebDataset (`readers.shards`), a folder of
            the package `datasets` (`readers.saved`), "digit-pairs", "glyphs", the short name of a
            public dataset (`rampart.data.catalogue`), or its name in a library ("torch/cifar10",
            "hfds/org/name").
        how: see `DataOptions`.

    Raises:
        DataError: images or classes are missing, unreadable or inconsistent.
        InvalidArgument: a size or fraction is out of range or does not suit the data, or the data
            take no options.
        UnknownName: the library has no such option.
    """
    return load_defined(name, **how).splits()


def load_defined(name: str, **how: Unpack[DataOptions]) -> DefinedSplits:
    """Return the splits that a dataset defines; arguments and errors as `load_splits`."""
    given: dict[str, float] = {
        "test": how.get("test_fraction", USUAL_FRACTIONS["test"]),
        "validation": how.get("validation_fraction", USUAL_FRACTIONS["validation"]),
    }
    fractions = {one: given[one] for one in USUAL_FRACTIONS}
    for one, fraction in fractions.items():
        check_fraction(f"{one}_fraction", fraction)
    draws_validation = how.get("validation", "official") == "drawn"
    drawn = _per_class(name, how.get("options") or {})
    if name in EMBEDDED:
        unused = ("test",) if draws_validation else ("test", "validation")
        own = {one: fractions[one] for one in unused}
        refuse_fractions(own, f"'{name}' has splits of its own")
    elif drawn:
        refuse_fractions(
            fractions,
            f"'{name}' is drawn by numbers of images, as in the publication",
            ", or write data.options.draw=fractions",
        )
    parts, notes = _read_parts(name, how)
    if draws_validation:
        parts, notes = without_validation(parts, notes)
    return DefinedSplits(name, parts, notes, fractions, how.get("seed", 0), drawn)


def refuse_fractions(fractions: Mapping[str, float], why: str, instead: str = "") -> None:
    """Refuse fractions, by split, other than the usual ones, for data that are drawn without."""
    for split, fraction in fractions.items():
        usual = USUAL_FRACTIONS[split]
        if fraction != usual:
            key, do = f"{split}_fraction", f"leave it out (its default is {usual}){instead}"
            raise InvalidArgument(key, fraction, f"none, because {why}", do)


def _per_class(name: str, options: Mapping[str, Any]) -> Counts:
    """Return the numbers by which a dataset of the catalogue is drawn; {} for fractions."""
    draw = options.get("draw", "study") if is_catalogued(name) else "fractions"
    if draw not in ("study", "fractions"):
        raise InvalidArgument("data.options.draw", draw, "study or fractions")
    return catalogue()[name].per_class if draw == "study" else {}


def _read_parts(name: str, how: DataOptions) -> Found:
    options, splits = how.get("options") or {}, how.get("splits") or {}
    size, channels = how.get("image_size"), how.get("in_chans")
    if name in EMBEDDED:
        refuse_files(name, how.get("root", ""), options, splits)
        if how.get("resize", "crop") != "crop":
            _refuse("resize", how["resize"], f"the images of '{name}' are squares already")
        found, notes = _load_embedded(name, size, channels, how.get("seed", 0)), list[str]()
    else:
        decode = Decode(size or 224, channels or 3, how.get("resize", "crop"))
        found, notes = read(Request(name, decode, how.get("root", ""), options, splits))
    paths = {one: paths_of(part) for one, part in found.items()}
    found = _read_once(found, how.get("cache", "auto"))
    if how.get("split_file"):
        found, more = divide(found, paths, Path(str(how["split_file"])))
        notes = [*notes, *more]
    return found, notes


def is_catalogued(name: str) -> bool:
    """Whether a name means a dataset of the catalogue, and not a folder or file."""
    return name in catalogue() and not Path(name).exists()


def read(request: Request) -> Found:
    """Read data with the reader for their name; a new kind of data is added here.

    No image is decoded. Errors as `load_splits`.
    """
    name = request.name
    if is_catalogued(name):
        return load_catalogued(catalogue()[name], request, read)
    if is_library_name(name) and not Path(name).exists():
        return load_library(request)
    path = require_data(name, request.root)
    if Path(name).is_absolute():
        _refuse("root", request.root, f"'{name}' is a whole path")
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return load_table(path, request)
    if is_saved(path):
        return load_saved(path, request)
    if shards := shards_of(path):
        return load_shards(path, shards, request)
    _refuse("options", request.options, f"'{name}' is a folder or tar of images")
    return load_folder(path, request.decode, request.splits)


def refuse_files(
    name: str, root: str, options: Mapping[str, Any] | None, splits: Mapping[str, str] | None
) -> None:
    """Refuse what describes files, for an embedded task."""
    for key, given in (("root", root), ("options", options), ("splits", splits)):
        _refuse(key, given, f"Rampart makes '{name}' without files")


def _refuse(key: str, given: Any, why: str) -> None:
    """Refuse a value that has no effect on the data; `why` is the reason."""
    if given:
        spelled = ", ".join(map(str, given)) if isinstance(given, Mapping) else given
        raise InvalidArgument(key, spelled, f"none, because {why}", "leave it out")


def _load_embedded(
    name: str, image_size: int | None, in_chans: int | None, seed: int
) -> dict[str, Split]:
    if image_size not in (None, EMBEDDED_SIZE):
        raise InvalidArgument(
            "image_size", image_size, f"{EMBEDDED_SIZE}, the only size of '{name}'", "leave it out"
        )
    splits = EMBEDDED[name](seed)
    change = _in_color if in_chans == 3 else lambda split: split
    return {one: change(splits[one]) for one in SPLIT_NAMES}


def _in_color(split: Split) -> Split:
    assert isinstance(split.pixels, InMemory)
    return replace(split, pixels=InMemory(split.pixels.images.expand(-1, 3, -1, -1)))


def _read_once(found: Mapping[str, Split], cache: Cache) -> dict[str, Split]:
    """Look into every image, so that damage shows before training; decode what memory holds."""
    first = next(iter(found.values()))
    total = sum(len(split) for split in found.values()) * first.pixels(0).numel()
    looked = {name: with_facts(split) for name, split in found.items()}
    if cache is True or (cache == "auto" and total < cache_limit()):
        return {name: in_memory(split) for name, split in looked.items()}
    return looked
