"""What a name of data means, without reading it: a path, a dataset, or a mistake."""

import re
from difflib import get_close_matches
from pathlib import Path

from rampart.data.catalogue import catalogue
from rampart.data.readers.torch_names import TORCH_NAMES
from rampart.errors import DataError, nearest
from rampart.plugins import GIVEN

#: The tasks that Rampart makes without files; `rampart.data.datasets.EMBEDDED` makes them.
EMBEDDED_NAMES = ("digit-pairs", "glyphs")
#: The first part of the names in public libraries.
PREFIXES = ("torch", "hfds")
#: A range of numbers in the name of a tar.
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def is_library_name(name: str) -> bool:
    """Whether a name belongs to a public library."""
    return name.partition("/")[0].lower() in PREFIXES and "/" in name


def is_range(name: str) -> bool:
    """Whether a name means several tars, as in `train-{000..009}.tar`."""
    return bool(RANGE.search(name)) and name.endswith(".tar")


def require_data(name: str, root: str = "") -> Path:
    """Return the path of a dataset without reading it.

    Raises:
        DataError: neither a file or folder nor a dataset has this name.
    """
    if name.startswith(GIVEN):
        raise DataError(
            f"data '{name}' were given in Python: pass them again to rampart.finetune, "
            "rampart.refine or rampart.evaluate."
        )
    path = Path(root, name).expanduser()
    if path.exists() or is_range(name):
        return path
    if name in EMBEDDED_NAMES or is_library_name(name) or name in catalogue():
        return path
    if near := nearest(name, [*EMBEDDED_NAMES, *catalogue()], n=1):
        raise DataError(f"no folder or dataset '{name}': did you mean {near[0]}?")
    public = f" For the public dataset write torch/{name}." if name.lower() in TORCH_NAMES else ""
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, beside, n=1, cutoff=0.8)
    hint = f"did you mean '{path.with_name(near[0])}'? Give" if near else "give"
    raise DataError(
        f"data folder '{path}' does not exist; {hint} a folder or a .tar of images, or a table "
        f"(.csv, .tsv, .parquet).{public}"
    )


def require_images(path: Path) -> None:
    """Refuse a path that is neither a file nor a folder.

    Raises:
        DataError: it is not there, or is a pipe, a socket or a device.
    """
    if not (path.is_file() or path.is_dir()):
        what = "does not exist" if not path.exists() else f"is {not_a_file(path)}"
        raise DataError(f"'{path}' {what}: give an image, or a folder or a .tar of images.")


def not_a_file(path: Path) -> str:
    """Return what a path is instead of a file, as a clause."""
    if path.is_dir():
        return "a folder"
    return "a pipe, a socket or a device, not a file" if path.exists() else "not there"
