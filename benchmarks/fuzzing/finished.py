"""Damaged files of a finished run: a check refuses them, and no command uses them."""

from pathlib import Path
from typing import Any

from benchmarks.fuzzing.attempts import Outcome
from benchmarks.fuzzing.cases import Kind
from benchmarks.fuzzing.copies import agreeing, damaged_copies, printed, refusing
from benchmarks.fuzzing.material import Material


def finished_kinds(material: Material) -> dict[str, Kind]:
    """Return a kind for every file of the run but its pictures."""
    run, photos = material.run, str(material.photos / "test")
    return damaged_copies(
        run,
        files_in(run),
        refusing(run, "verify", "run"),
        agreeing(run, printed, "report", "run"),
        agreeing(run, _predicted, "predict", "run", photos, "-o", "predictions.csv"),
    )


def files_in(folder: Path) -> list[Path]:
    """Return the files in a folder but pictures and hidden ones, relative to it."""
    files = sorted(one.relative_to(folder) for one in folder.rglob("*") if one.is_file())
    return [one for one in files if one.suffix != ".png" and one.name[0] != "."]


def _predicted(place: Path, outcome: Outcome) -> Any:
    return (place / "predictions.csv").read_bytes()
