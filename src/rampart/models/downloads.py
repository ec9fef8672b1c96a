"""The weights files of the catalogue: found in the cache, or downloaded into it.

Files of the Hugging Face hub lie in its cache, all others where `torch.hub` keeps weights.
"""

import os
import warnings
from pathlib import Path

from rampart.errors import ModelError, reason
from rampart.hub_access import NOT_CACHED, hub_access, is_not_cached, is_reachable
from rampart.models.catalogue import Entry
from rampart.progress.tqdm_bars import tqdm_bars
from rampart.progress.work import is_shown


def cached_file(entry: Entry) -> Path | None:
    """Return the weights file of an entry if it is in the cache; torch is not imported."""
    if not entry.hub:
        path = _cache_folder() / entry.file
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(entry.hub, entry.file)
    return Path(found) if isinstance(found, str) else None


def fetch(entry: Entry) -> Path:
    """Return the weights file of an entry; it is downloaded if it is not in the cache.

    Raises:
        ModelError: the file cannot be downloaded, is not a weights file, or has another size than
            the catalogue states.
    """
    path = _from_hub(entry) if entry.hub else cached_file(entry) or _from_address(entry)
    size = path.stat().st_size
    if entry.bytes not in (None, size):
        raise ModelError(
            f"the weights of '{entry.name}' in '{path}' have {size} bytes, expected {entry.bytes}: "
            "the file is cut or another one. Delete it to download it again; if you trust it, "
            f"write {_by_hand(entry, str(path))}."
        )
    return path


def _cache_folder() -> Path:
    """Return the folder of `torch.hub` for weights."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", str(Path(cache, "torch")))
    return Path(home, "hub", "checkpoints").expanduser()


def _from_hub(entry: Entry) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        with hub_access():
            return Path(hf_hub_download(entry.hub, entry.file))
    # Each version of the hub's client raises other errors.
    except Exception as error:
        why = NOT_CACHED if is_not_cached(error) else reason(error)
        raise _not_downloaded(entry, why) from error


def _from_address(entry: Entry) -> Path:
    """Download a file and read it once, so that no web page or part of a file is kept."""
    from torch.hub import download_url_to_file

    from rampart.models.weight_files import read_weights

    if not is_reachable(entry.address):
        raise _not_downloaded(entry, "the server cannot be reached")
    path = _cache_folder() / entry.file
    # Named as the file itself, because its ending tells how it is read.
    fresh = path.with_name(f"fresh-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tqdm_bars(entry.file):
            download_url_to_file(entry.address, str(fresh), progress=is_shown())
        with warnings.catch_warnings():
            # What is taken from the file is said when the model is built.
            warnings.simplefilter("ignore")
            read_weights(fresh)
        fresh.replace(path)
    except ModelError as error:
        raise _not_downloaded(entry, str(error).replace(fresh.name, path.name)) from error
    # The server and the disk raise errors of many kinds.
    except Exception as error:
        raise _not_downloaded(entry, reason(error)) from error
    finally:
        fresh.unlink(missing_ok=True)
    return path


def _not_downloaded(entry: Entry, why: str) -> ModelError:
    return ModelError(
        f"the weights of '{entry.name}' cannot be downloaded from {entry.place} "
        f"({why.rstrip('.')}): download {entry.file} by hand and write {_by_hand(entry, 'FILE')}."
    )


def _by_hand(entry: Entry, file: str) -> str:
    return f"model.weights={file} to train, or {entry.name}:{file} to evaluate"
