"""The Hugging Face hub, where it can be reached; its cache elsewhere."""

import logging
import os
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from rampart.progress.tqdm_bars import tqdm_bars

#: Seconds to wait for a connection. The hub's own client tries again for up to 45 s for each file.
WAIT = 3.0
#: The reason in an error for files that are neither in the cache nor reachable.
NOT_CACHED = "the hub cannot be reached or is switched off, and its cache does not hold the files"

_DATASETS = "datasets.config"


@contextmanager
def hub_access(cache_only: bool = False) -> Iterator[None]:
    """Use the hub inside the block, or only its cache if the hub cannot be reached.

    With `cache_only`, or the environment variable HF_HUB_OFFLINE=1, the hub is not tried. The
    hub's client prints errors only; the display of the context shows what it downloads.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils.logging import get_verbosity, set_verbosity

    offline, verbosity = constants.HF_HUB_OFFLINE, get_verbosity()
    imported = _DATASETS in sys.modules
    set_verbosity(logging.ERROR)
    # The client reads it at each request.
    constants.HF_HUB_OFFLINE = offline or cache_only or not is_reachable(constants.ENDPOINT)
    try:
        with tqdm_bars():
            yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        set_verbosity(verbosity)
        config = sys.modules.get(_DATASETS)
        if config is not None and not imported and "HF_DATASETS_OFFLINE" not in os.environ:
            # The package `datasets` copied the switch when it was imported inside the block.
            config.HF_HUB_OFFLINE = config.HF_DATASETS_OFFLINE = offline  # type: ignore[attr-defined]  # any module


def is_not_cached(error: BaseException) -> bool:
    """Whether an error says that the hub is offline and a file is not in its cache."""
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    return isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled)


def is_reachable(endpoint: str) -> bool:
    """Whether a connection to an address can be opened; assumed if there is a proxy."""
    address = urlsplit(endpoint)
    if urllib.request.getproxies():
        return True
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=WAIT):
            return True
    except OSError:
        return False
