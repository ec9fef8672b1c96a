"""Datasets of public libraries: `torch/<name>` (torchvision) and `hfds/<name>` (the hub).

Only the published splits are returned; the caller adds missing ones.
"""

from collections.abc import Mapping
from typing import Any

from rampart.data.decode import Decode
from rampart.data.readers.hub import load_hub
from rampart.data.readers.torchvision import load_torch
from rampart.data.splits import Split
from rampart.errors import DataError, RampartError

PREFIXES = ("torch", "hfds")


def is_reader_name(name: str) -> bool:
    """Whether a name belongs to a public library."""
    return name.partition("/")[0].lower() in PREFIXES and "/" in name


def load_reader(
    name: str, root: str, decode: Decode, options: Mapping[str, Any]
) -> dict[str, Split]:
    """Return the published splits of a dataset by their names, with "train".

    Args:
        name: "torch/cifar10", "hfds/org/name".
        root: folder for the library's files; needed for torchvision, optional for the hub.
        decode: turns a picture into pixels.
        options: "input_key" and "target_key" of a hub dataset, or arguments of a torchvision
            dataset.

    Raises:
        UnknownName: no such torchvision dataset, or no such option.
        DataError: the dataset cannot be downloaded or read.
        MissingExtra: the package `datasets` is not installed.
    """
    prefix, _, rest = name.partition("/")
    load = load_torch if prefix.lower() == "torch" else load_hub
    try:
        return load(rest, root, decode, options)
    except RampartError:
        raise
    # The network, archives and caches of libraries raise errors of many kinds.
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"dataset '{name}' cannot be loaded ({reason[0]}); without a network put its files "
            "where the library expects them, or give a folder of images."
        ) from error
