"""Datasets of public libraries: `torch/<name>` (torchvision) and `hfds/<name>` (the hub).

Only the published splits are returned; the caller adds missing ones.
"""

from rampart.data.readers.hub import load_hub
from rampart.data.readers.request import Found, Request
from rampart.data.readers.torchvision import load_torch
from rampart.errors import DataError, RampartError


def load_library(request: Request) -> Found:
    """Return the published splits of a dataset by their names, and notes.

    The options of a hub dataset are "input_key" and "target_key", the columns of images and labels,
    and "revision", "config" and "data_dir", as in `rampart.data.readers.hub_download.Place`. Those
    of a torchvision dataset are its own arguments. torchvision needs a root.

    Raises:
        UnknownName: no such torchvision dataset, or no such option.
        DataError: there is no name after the library, or the dataset cannot be downloaded or read.
        MissingExtra: the package `datasets` is not installed.
    """
    if not request.name.partition("/")[2].strip("/"):
        raise DataError(
            f"'{request.name}' names no dataset: write torch/NAME, hfds/OWNER/NAME or hfds/FOLDER."
        )
    load = load_torch if request.name.lower().startswith("torch/") else load_hub
    try:
        return load(request)
    except RampartError:
        raise
    # The network, archives and caches of libraries raise errors of many kinds.
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        if not request.download:
            raise DataError(f"{request.name} is not in '{request.root}'.") from error
        raise DataError(
            f"dataset '{request.name}' cannot be loaded ({reason[0]}); without a network put its "
            "files where the library expects them, or give a folder of images."
        ) from error
