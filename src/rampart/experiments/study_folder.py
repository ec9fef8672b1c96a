"""The folder of a study: where its runs lie, and that it holds nothing of others."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rampart.checksums import LISTING, list_checksums
from rampart.errors import RampartError, RunError
from rampart.experiments.searches import keep_searches
from rampart.experiments.study import Study
from rampart.files import read_text, require_output_folder, write_atomic
from rampart.recipes.config.identity import identity
from rampart.recipes.config.loading import load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.runs.contents import runs_in, spell
from rampart.runs.run_folder import RunFolder

#: Folders of the runs of methods, and of the options of choices.
RUNS, CHOICES = "runs", "choices"
#: Folder of the scripts and logs of SLURM's jobs.
SLURM = "slurm"
#: The copy of the study's file.
STUDY_FILE = "study.yaml"
#: Digits of the identity in the name of a folder.
DIGITS = 8
_RUN = re.compile(rf"seed-\d+-[0-9a-f]{{{DIGITS}}}")


def file_name(name: str) -> str:
    """Return a name for a file; `_` replaces characters that some file systems refuse."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)


def run_folder(place: Path, config: RunConfig) -> Path:
    """Return the folder of a run, seed-S-HASH in a place, whether or not it exists.

    The hash depends on the keys that this version of Rampart knows. So a folder with another hash
    is taken if its configuration, read by this version, has the same identity.
    """
    wanted = identity(config)
    folder = place / f"seed-{config.seed}-{wanted[:DIGITS]}"
    if folder.exists():
        return folder
    others = sorted(file.parent for file in place.glob(f"seed-{config.seed}-*/config.yaml"))
    return next((one for one in others if _holds(one, wanted)), folder)


def _holds(folder: Path, wanted: str) -> bool:
    """Whether the run in a folder has this identity."""
    try:
        return identity(load_config(RunFolder(folder))) == wanted
    except RampartError:
        return False


def place_of(root: Path, names: Iterable[str], method: str) -> Path:
    """Return the folder of the runs of one task and method: VALUE/.../METHOD."""
    return root.joinpath(*map(file_name, (*names, method)))


def choice_folder(output: Path, choice: str) -> Path:
    """Return the folder of the runs that decide a choice."""
    return output / CHOICES / file_name(choice)


def places_of(study: Study, output: Path) -> set[Path]:
    """Return the folders in which the runs of a study may lie."""
    tasks = [list(task.coordinates.values()) for task in study.tasks]
    rows = (*study.methods, *study.choices)
    places = {place_of(output / RUNS, task, row) for task in tasks for row in rows}
    return places | {
        place_of(choice_folder(output, name), task, option)
        for name, choice in study.choices.items()
        for task in tasks
        for option in choice.among
    }


def require_own_folder(study: Study, output: Path) -> None:
    """Refuse a folder with runs of others, or with folders and no study.

    Runs of an earlier version of the study and files, such as logs, may lie there.

    Raises:
        RunError: the folder holds others, or cannot be written.
    """
    require_output_folder(output)
    if not output.is_dir():
        return
    runs = runs_in(output)
    if others := [path for path in runs if not _is_of_a_study(path, output)]:
        raise _occupied(output, "runs that are not of a study", others)
    own = places_of(study, output)
    if runs and not any(path.parent in own for path in runs):
        raise _occupied(output, "the runs of another study", runs)
    if (output / "run.json").is_file() or (output / "record.json").is_file():
        raise _occupied(output, "the files of a run or an evaluation", [])
    folders = [path for path in sorted(output.iterdir()) if path.is_dir()]
    folders = [path for path in folders if not path.name.startswith(".")]
    if folders and not {RUNS, CHOICES, SLURM} & {path.name for path in folders}:
        raise _occupied(output, "other folders", folders)


def keep_file(study: Study, file: Path, output: Path) -> None:
    """Copy the file of a study into its folder, with its checksum and what its searches found.

    Raises:
        RunError: the folder holds others, or cannot be written.
    """
    require_own_folder(study, output)
    keep_searches((one.found for one in study.searches), output)
    text = read_text(file)
    # Killed in between, the copy has no checksum, not that of another file.
    (output / LISTING).unlink(missing_ok=True)
    write_atomic(output / STUDY_FILE, text)
    write_atomic(output / LISTING, list_checksums(output, [STUDY_FILE]))


def _is_of_a_study(run: Path, output: Path) -> bool:
    root = run.relative_to(output).parts[0]
    return root in (RUNS, CHOICES) and _RUN.fullmatch(run.name) is not None


def _occupied(output: Path, kind: str, others: Sequence[Path]) -> RunError:
    named = f" ({spell(others, word='and')})" if others else ""
    move = "move or delete them, or " if others else ""
    return RunError(
        f"output folder {output} holds {kind}{named}: {move}choose another folder with --output."
    )
