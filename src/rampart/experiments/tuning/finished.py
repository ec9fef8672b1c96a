"""Read a finished search: the values that it found, and the budget that it spent."""

from dataclasses import dataclass
from pathlib import Path

from rampart.errors import RampartError, RunError
from rampart.experiments.tuning.outcome import SPENT, TUNED, Spent, read_spent
from rampart.experiments.tuning.space import Settings, name_of, with_settings
from rampart.experiments.tuning.trials import SEARCH, read_search
from rampart.recipes.config.differences import Difference, differences
from rampart.recipes.config.loading import load_config
from rampart.schema.fields import RunFields


@dataclass(frozen=True)
class FinishedSearch:
    """The result of a search.

    Attributes:
        config: the configuration whose settings were searched.
        settings: the best values, by key.
        spent: the budget.
    """

    config: RunFields
    settings: Settings
    spent: Spent

    def unlike(self, config: RunFields) -> list[Difference]:
        """Return the keys in which the training of a run differs from that of the search.

        The seed and the searched keys may differ.
        """
        return [
            one
            for one in differences(self.config, config)
            if one.affects == "training" and not one.is_in("seed", *self.settings)
        ]


def read_finished(folder: Path) -> FinishedSearch:
    """Read the folder of a search.

    Raises:
        RunError: the folder holds no finished search, or its files do not belong together.
    """
    if not (folder / SEARCH).is_file():
        lack = f"has no {SEARCH}" if folder.is_dir() else "does not exist"
        raise RunError(
            f"folder {folder} holds no search (it {lack}): give a folder that `rampart tune` "
            "wrote; a relative one begins at the working folder."
        )
    again = "run its `rampart tune` command again"
    if lacking := [name for name in (TUNED, SPENT) if not (folder / name).is_file()]:
        raise RunError(
            f"the search in {folder} is not finished (it has no {' and no '.join(lacking)}): "
            f"{again}, which resumes it."
        )
    search, (best, spent) = read_search(folder), read_spent(folder)
    try:
        tuned = load_config(folder / TUNED)
    except RampartError as error:
        raise _changed(folder, str(error)) from None
    settings = search.space.of(tuned)
    if best != name_of(settings) or tuned != with_settings(search.config, settings):
        raise _changed(folder, "other values")
    return FinishedSearch(search.config, settings, spent)


def _changed(folder: Path, why: str) -> RunError:
    return RunError(
        f"{folder / TUNED} is not what the search found: it was changed ({why.rstrip('.')}). Run "
        "its `rampart tune` command again, which writes the file anew."
    )
