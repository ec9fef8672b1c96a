"""Damaged runs and evaluations are moved out of the way, never read and never deleted."""

import shutil
from pathlib import Path

from rampart.checksums import require_unchanged
from rampart.errors import RampartError
from rampart.files import write_atomic
from rampart.records.storage import load_record
from rampart.runs.contents import SET_ASIDE
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder


def set_aside_damage(run: Path) -> list[str]:
    """Move a damaged run, or its damaged evaluations, aside; return a line about each.

    They move to set-aside/N, where reason.txt says why.
    """
    folder = RunFolder(run)
    try:
        if folder.exists():
            _require_usable(folder)
    except RampartError as error:
        return [_move(run, run.parent, error)]
    lines = []
    for evaluation in folder.finished_evaluations():
        try:
            load_record(evaluation.path)
        except RampartError as error:
            lines.append(_move(evaluation.path, run, error))
    return lines


def _require_usable(folder: RunFolder) -> None:
    """Refuse a run with damage in the files that resuming, evaluating or comparing it reads."""
    folder.settings()
    history, complete = History(folder.history), folder.status() == "complete"
    # Resuming drops half a row at the end.
    history.rows() if complete else history.readable_rows()
    # The model of an evaluated run is large and not read again.
    if not (complete and folder.finished_evaluations()):
        steps = (*folder.checkpoints.glob("step-*"), *folder.best.glob("step-*"))
        for place in (folder.model, *steps):
            if place.is_dir():
                require_unchanged(place, "restore it")


def _move(path: Path, below: Path, error: RampartError) -> str:
    number = 1
    while (place := below / SET_ASIDE / str(number)).exists():
        number += 1
    place.mkdir(parents=True)
    shutil.move(path, place / path.name)
    write_atomic(place / "reason.txt", f"{error}\n")
    return f"set aside in {place}, and made again: {error}"
