"""The number of images of a run, without decoding or downloading one."""

from dataclasses import dataclass

from rampart.data.catalogue import Entry
from rampart.data.decode import Decode
from rampart.data.inventory import entry_of, take_stock
from rampart.data.readers.request import Request
from rampart.recipes.config.run_config import RunConfig


@dataclass(frozen=True)
class Images:
    """The number of images in each split, and of classes.

    Attributes:
        train, validation, test: numbers of images.
        classes: number of classes.
    """

    train: int
    validation: int
    test: int
    classes: int


def count_images(config: RunConfig) -> Images:
    """Return the number of images: of data on this machine, or of the catalogue.

    Splits that the data lack take their fractions, to within the rounding of a class.

    Raises:
        RampartError: the data are neither on this machine nor in the catalogue, or cannot be read.
    """
    entry = entry_of(config.data.name)
    return _completed(_of_catalogue(entry, config) if entry else _on_disk(config), config)


def _of_catalogue(entry: Entry, config: RunConfig) -> dict[str, int]:
    drawn = config.data.options.get("draw", "study") == "study"
    published = entry.study if drawn and len(entry.study) == 3 else {}
    return {**(published or entry.images), "classes": entry.classes}


def _on_disk(config: RunConfig) -> dict[str, int]:
    data = config.data
    splits = data.splits.model_dump(exclude_none=True)
    request = Request(data.name, Decode(8), data.root, data.options, splits)
    return dict(take_stock(request).counts)


def _completed(counts: dict[str, int], config: RunConfig) -> Images:
    found = dict(counts)
    fractions = {
        "test": config.data.test_fraction,
        "validation": config.data.validation_fraction,
    }
    for name, fraction in fractions.items():
        if name not in found:
            found[name] = round(fraction * found["train"])
            found["train"] -= found[name]
    return Images(found["train"], found["validation"], found["test"], found["classes"])
