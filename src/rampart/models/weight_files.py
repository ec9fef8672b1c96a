"""Reading weight files, without running code from them."""

import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from rampart.checksums import KEEP, require_unchanged
from rampart.errors import ModelError, RampartWarning
from rampart.files import NotAFileError, require_file

Weights = dict[str, Tensor]

SAFE = ".safetensors"
#: Endings of the files that are read; all but the first are pickles of torch.
WEIGHT_SUFFIXES = (SAFE, ".pth", ".pt", ".bin", ".ckpt", ".pth.tar")
#: Entries of a checkpoint that hold the weights; the first one counts. As in timm, an exponential
#: average stands before the weights that it averages.
CONTAINERS = (
    *("state_dict_ema", "model_ema", "ema_state_dict"),
    *("state_dict", "model_state_dict", "model", "net"),
)
_AGAIN = "download or save it again"
_ALONE = "save the tensors alone, by torch.save(model.state_dict(), FILE)"
#: First bytes of files that are not weights; what such a file is, and what to do.
_STARTS = (
    (b"version https://git-lfs", "is a pointer of Git LFS", "run `git lfs pull` in its repository"),
    (b"<", "is a web page", "download the file itself, not the page that shows it"),
    (b"\x93NUMPY", "is a numpy array", "save a state_dict of tensors by torch.save"),
)
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
_CLASS = re.compile(r"(?:GLOBAL|class|global:?) (\w+(?:\.\w+)+)")


def read_weights(path: Path) -> Weights:
    """Return the tensors in a safetensors or torch file.

    A checkpoint may hold its weights in an entry such as "state_dict" or "model" (`CONTAINERS`);
    its other entries are ignored. A file is never unpickled beyond tensors and plain values.

    Raises:
        ModelError: the file cannot be read, or holds other objects or no tensors.
        RunError: it does not match its checksum in a checksums.json beside it.

    Warns:
        RampartWarning: several entries hold weights; the warning names the one that was taken.
    """
    require_unchanged(path, KEEP)
    try:
        require_file(path)
        with warnings.catch_warnings():
            # torch comments on old and foreign formats; whether they can be read is decided here.
            warnings.simplefilter("ignore")
            if path.name.endswith(SAFE):
                return load_file(path)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    # The libraries raise errors of many kinds for a damaged file.
    except Exception as error:
        raise ModelError(
            f"weights file '{path}' cannot be read: it {explain_content(path, error)}."
        ) from error
    found = _take_container(loaded, path)
    weights = {key: value for key, value in found.items() if isinstance(value, Tensor)}
    if not weights or not all(isinstance(key, str) for key in weights):
        raise ModelError(
            f"weights file '{path}' holds no state_dict of tensors: {_ALONE}, or put it into one "
            f"of the entries {', '.join(CONTAINERS)}."
        )
    return weights


def explain_content(path: Path, error: Exception) -> str:
    """Return a file's content as a clause whose subject is the file, and advice.

    Args:
        path: the file.
        error: of the library that could not read it.
    """
    if isinstance(error, NotAFileError):
        return "is a device, a pipe or a socket, not a file; give the file itself"
    if isinstance(error, OSError) and error.strerror:
        return f"gives the error '{error.strerror}'; check the path and the permissions"
    if other := other_content(path):
        return other
    start = _start(path)
    if start[8:9] == b"{" and not path.name.endswith(SAFE):
        return "is a safetensors file, not one of torch; rename it to .safetensors"
    if start.startswith(b"PK"):
        return _explain_zip(path, error)
    if start.startswith(b"\x80") and not start.startswith(_LEGACY):
        return f"is a pickle that torch.save did not write; {_ALONE}"
    return _explain_objects(error)


def other_content(path: Path) -> str | None:
    """Return what a file holds in place of a model, as a clause, and advice; None if unknown."""
    start = _start(path)
    if not start:
        return f"is empty; {_AGAIN}"
    for sign, kind, do in _STARTS:
        if start.lstrip().startswith(sign):
            return f"{kind}, not weights; {do}"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        return f"is text, not weights; {_AGAIN}"
    return None


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _explain_zip(path: Path, error: Exception) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError):
        return f"is cut or damaged; {_AGAIN}"
    if path.name.endswith(SAFE):
        return "is a torch file, not safetensors; rename it to .pth"
    if any(name.endswith(".npy") for name in names):
        return "holds numpy arrays, not tensors; save a state_dict of tensors by torch.save"
    if any(name.endswith("constants.pkl") for name in names):
        return f"is a TorchScript program, not a state_dict; {_ALONE}"
    if "Unsupported operand" in str(error):
        return f"was written with another protocol of pickle than torch's own; {_ALONE}"
    return _explain_objects(error)


def _explain_objects(error: Exception) -> str:
    """Name the class that torch refused to unpickle; without one the file is damaged."""
    found = _CLASS.search(str(error))
    if found is None:
        return f"is cut or damaged; {_AGAIN}"
    if found[1].startswith("numpy"):
        return "holds numpy arrays, not tensors; save a state_dict of tensors by torch.save"
    return (
        f"holds an object of the class {found[1]}, and opening other objects than tensors can run "
        f"any code; {_ALONE}"
    )


def _take_container(loaded: Any, path: Path) -> Mapping[Any, Any]:
    """Return the mapping of tensors inside a checkpoint; say which one if there are several."""
    if not isinstance(loaded, Mapping):
        return {}
    held = [key for key in CONTAINERS if isinstance(loaded.get(key), Mapping) and loaded[key]]
    if not held:
        return loaded
    if len(held) > 1:
        warnings.warn(
            f"weights file '{path}' holds weights in {', '.join(held)}: {held[0]} was taken; to "
            "use others, save them in a file of their own.",
            RampartWarning,
            stacklevel=2,
        )
    return _take_container(loaded[held[0]], path)
