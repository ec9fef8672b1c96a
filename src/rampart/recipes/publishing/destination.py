"""Where a run is published: a new folder, or a name that a repository of the hub can have."""

import re
from pathlib import Path

from rampart.errors import InvalidArgument, RunError
from rampart.files import require_output_folder

HUB = "hf:"
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
#: The hub's own rules for names.
_WORD, _LONGEST = re.compile("[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"), 96


def require_destination(to: str, *, private: bool = False, license: str = "") -> None:
    """Refuse a destination before anything is read; arguments as of `publish_run`.

    Raises:
        InvalidArgument: the name, the license, or `private` for a folder.
        RunError: the folder is not empty, or cannot be written.
    """
    if license and not _LICENSE.fullmatch(license):
        raise InvalidArgument("license", license, "an identifier of the hub, such as apache-2.0")
    if to.startswith(HUB):
        _require_name(to.removeprefix(HUB))
    else:
        _require_free(to, private)


def _require_name(name: str) -> None:
    """Refuse a name that no repository can have."""
    parts = name.split("/")
    sound = all(_WORD.fullmatch(one) and "--" not in one and ".." not in one for one in parts)
    if len(parts) != 2 or not sound or len(name) > _LONGEST:
        expected = "hf:OWNER/NAME, of letters and digits with single - _ or . between them"
        raise InvalidArgument("to", f"hf:{name}", expected)


def _require_free(to: str, private: bool) -> None:
    """Refuse a folder that holds anything, and what looks like the hub."""
    if private:
        raise InvalidArgument("private", to, "hf:OWNER/NAME in --to", "a folder has no such switch")
    if to.partition(":")[0] in ("hf-hub", "https", "http"):
        raise InvalidArgument("to", to, "hf:OWNER/NAME for the hub, or a folder")
    folder = Path(to)
    require_output_folder(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise RunError(f"folder {to} is not empty: choose another with --to, or empty it.")
