"""The searches whose values a study uses: read from their folders, and kept in its own.

`searches.json` in the folder of a study holds the values, the budgets and the configurations, so
that the folder suffices when those of the searches are gone.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampart.checksums import read_checked, with_checksum
from rampart.errors import RunError
from rampart.experiments.tuning.finished import FinishedSearch, read_finished
from rampart.experiments.tuning.outcome import Spent
from rampart.files import write_atomic
from rampart.recipes.config.loading import dump_config, parse_config

#: The file in the folder of a study.
SEARCHES_FILE = "searches.json"


@dataclass(frozen=True)
class FoundSearch:
    """A search that a study names.

    Attributes:
        folder: of the search, as the study's file writes it.
        result: what it found.
    """

    folder: str
    result: FinishedSearch

    @property
    def overrides(self) -> tuple[str, ...]:
        """The values that it found, as settings."""
        return tuple(f"{key}={value!r}" for key, value in self.result.settings.items())


#: Takes the folder of a search, as the study's file writes it.
Find = Callable[[str], FoundSearch]


def find_in_folder(folder: str) -> FoundSearch:
    """Return the search in a folder; a relative one begins at the working folder.

    Raises:
        RunError: the folder holds no finished search.
    """
    return FoundSearch(folder, read_finished(Path(folder)))


def finder(file: Path, output: Path | None) -> Find:
    """Return what finds the searches of a study.

    Args:
        file: of the study. If it lies in `output`, the kept values come first.
        output: folder of the study, whose kept values replace a folder that is gone.
    """
    if output is None:
        return find_in_folder
    kept_first = file.resolve().parent == output.resolve()

    def find(folder: str) -> FoundSearch:
        if kept_first or not Path(folder).exists():
            for one in read_kept(output):
                if one.folder == folder:
                    return one
        return find_in_folder(folder)

    return find


def keep_searches(searches: Iterable[FoundSearch], output: Path) -> None:
    """Write `searches.json` into the folder of a study; without searches, delete it."""
    kept = {one.folder: _dump(one) for one in searches}
    file = output / SEARCHES_FILE
    if kept:
        text = json.dumps(with_checksum({"searches": list(kept.values())}), indent=1) + "\n"
        write_atomic(file, text)
    else:
        file.unlink(missing_ok=True)


def read_kept(output: Path) -> list[FoundSearch]:
    """Return the searches in the `searches.json` of a study's folder; none without the file.

    Raises:
        RunError: the file is damaged.
    """
    file = output / SEARCHES_FILE
    if not file.is_file():
        return []
    do = "delete it; `rampart study run` writes it again from the folders of the searches"
    content = read_checked(file, do)
    try:
        return [_load(one) for one in content["searches"]]
    except (KeyError, TypeError) as error:
        raise RunError(f"{file} is damaged or was changed (no searches): {do}.") from error


def _dump(search: FoundSearch) -> dict[str, Any]:
    found = search.result
    return {
        "folder": search.folder,
        "settings": found.settings,
        "spent": vars(found.spent),
        "config": dump_config(found.config),
    }


def _load(content: dict[str, Any]) -> FoundSearch:
    config, spent = parse_config(content["config"]), Spent(**content["spent"])
    return FoundSearch(content["folder"], FinishedSearch(config, content["settings"], spent))
