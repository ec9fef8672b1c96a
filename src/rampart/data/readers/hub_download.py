"""Datasets of the Hugging Face hub, downloaded at a revision, or read from the cache."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart.errors import DataError, MissingExtra
from rampart.extras import require_extra
from rampart.hub_access import NOT_CACHED, hub_access, is_not_cached

#: The branch in which the hub keeps its own conversion of every dataset to parquet.
CONVERTED = "refs/convert/parquet"
_HASH = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Place:
    """The place of a dataset on the hub, or a folder of its files.

    Attributes:
        name: "OWNER/NAME", or the path of a folder.
        config: name of the configuration, for a dataset with several.
        data_dir: folder in the dataset that holds the files.
        revision: commit, branch or tag; by default the newest commit.
        cache: folder for the files; by default that of the package `datasets`.
        cache_only: do not ask the hub.
    """

    name: str
    config: str | None = None
    data_dir: str | None = None
    revision: str | None = None
    cache: str = ""
    cache_only: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether the name is a folder on this machine."""
        return Path(self.name).is_dir()


def download(place: Place) -> tuple[Mapping[str, Any], list[str]]:
    """Return a `datasets.Dataset` for each split by its own name, and a note on the revision.

    If the hub cannot be reached, the files come from the cache, and from the same revision if one
    is named.

    Raises:
        MissingExtra: the package `datasets` is not installed.
        DataError: there is no such dataset or revision, access is refused, the cache lacks it, or
            its files cannot be read.
    """
    try:
        with hub_access(place.cache_only or place.is_folder):
            require_extra("datasets", "hub", f"dataset 'hfds/{place.name}'")
            builder = _builder(place)
            builder.download_and_prepare()
    except MissingExtra:
        raise
    # The network, archives and caches raise errors of many kinds.
    except Exception as error:
        raise _explained(error, place) from error
    tables = {str(split): builder.as_dataset(str(split)) for split in builder.info.splits}
    if place.revision or place.is_folder or not _HASH.fullmatch(str(builder.hash)):
        return tables, []
    note = f"revision {builder.hash} of hfds/{place.name}; data.options.revision={builder.hash} "
    return tables, [note + "reads the same one later."]


def _builder(place: Place) -> Any:
    from datasets import load_dataset_builder
    from huggingface_hub.constants import is_offline_mode

    if place.revision and is_offline_mode() and not place.is_folder:
        return _cached_builder(place, place.revision)
    return load_dataset_builder(
        place.name,
        place.config,
        data_dir=place.data_dir,
        revision=place.revision,
        cache_dir=place.cache or None,
    )


def _cached_builder(place: Place, revision: str) -> Any:
    """Return the builder of a cached revision.

    Without the hub, `load_dataset_builder` takes the revision that it prepared last.
    """
    from datasets import load_dataset_builder
    from datasets.packaged_modules.cache.cache import Cache
    from huggingface_hub import snapshot_download

    folder = snapshot_download(place.name, repo_type="dataset", revision=revision)
    cache = place.cache or None
    if not place.config:
        return load_dataset_builder(folder, data_dir=place.data_dir, cache_dir=cache)
    # The folder lacks the files of other configurations, so that it cannot be read as a dataset.
    return Cache(
        cache_dir=cache,
        dataset_name=place.name.rpartition("/")[2],
        config_name=place.config,
        hash=Path(folder).name,
        repo_id=place.name,
    )


def _explained(error: Exception, place: Place) -> DataError:
    """Return the error for a dataset that cannot be loaded, with the remedy for its reason."""
    from huggingface_hub import constants

    if place.cache_only and not place.is_folder:
        return DataError(f"hfds/{place.name} is not in the cache.")
    url = f"{constants.ENDPOINT}/datasets/{place.name}"
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    reason = reason.rstrip(".")
    advice = "without a network put its files into a folder and give that"
    if "is a gated dataset" in reason:
        advice = f"accept its terms at {url}, then log in by `hf auth login` or set HF_TOKEN"
    elif reason.startswith("Revision "):
        advice = f"{url} lists its revisions; without data.options.revision the newest is read"
    elif "doesn't exist on the Hub" in reason:
        advice = f"check the name at {url}; a private dataset needs `hf auth login`"
    elif found := re.search(r"(?:available configs|Available): (\[.*?\])", str(error)):
        names = re.findall("'(.*?)'", found[1])
        advice = (
            f"it has the configurations {', '.join(names)}: write data.options.config={names[0]}"
        )
    elif "scripts are no longer supported" in reason:
        advice = f"read the hub's own conversion by data.options.revision={CONVERTED}"
    elif is_not_cached(error) or "Couldn't reach" in reason:
        reason = NOT_CACHED
        advice = "connect once, or set HF_HOME to a folder that holds the cache"
    elif place.is_folder:
        advice = "give a folder of parquet files or images that the package `datasets` reads"
    return DataError(f"dataset 'hfds/{place.name}' cannot be loaded ({reason}); {advice}.")
