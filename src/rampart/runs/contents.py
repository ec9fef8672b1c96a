"""The runs and evaluations inside a folder, to answer a command that was given another folder."""

from collections.abc import Sequence
from pathlib import Path

from rampart.runs.evaluation_folder import EvaluationFolder

#: The folder with damaged runs and evaluations that a study moved out of the way.
SET_ASIDE = "set-aside"
#: A study of four axes has runs seven folders down, and each run its evaluations two further down.
_DEPTH = 9


def evaluations_in(path: Path) -> list[Path]:
    """Return the folders of the finished evaluations below a folder, sorted."""
    found = [file.parent for file in _below(path, "record.json")]
    return [folder for folder in found if EvaluationFolder(folder).is_finished()]


def runs_in(path: Path) -> list[Path]:
    """Return the folders of the runs below a folder, sorted."""
    found = [file.parent for file in _below(path, "config.yaml")]
    return [folder for folder in found if (folder / "run.json").is_file()]


def spell(paths: Sequence[Path | str], most: int = 3, word: str = "or") -> str:
    """Return paths or names in words, with this word before the last one; of many, the first."""
    named = [str(path) for path in paths[:most]]
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return f" {word} ".join(named) if not more else ", ".join(named) + more


def _below(path: Path, name: str) -> list[Path]:
    patterns = ("*/" * depth + name for depth in range(1, _DEPTH + 1))
    return sorted(file for pattern in patterns for file in path.glob(pattern))
