"""The folders of refined runs; what would collide or lie inside a run is refused."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rampart.errors import RunError

#: A run, and the folder of its refinement.
Place = tuple[Path, Path]


def place_beside(run: Path) -> Path:
    """Return the folder of a refinement that was given none: RUN-refined, beside the run."""
    # "." and ".." have no name of their own.
    beside = run if run.name not in ("", "..") else run.resolve()
    return beside.with_name(f"{run.resolve().name}-refined")


def places_of(runs: Sequence[Path], output: Path | None) -> list[Place]:
    """Return each run with the folder of its refinement.

    Args:
        runs: one run or more.
        output: the folder for one run, or for one folder for each of several, named after the part
            of the path in which the runs differ; by default each lies beside its run.

    Raises:
        RunError: as `require_apart`.
    """
    _require_once(runs)
    if output is None:
        places = [place_beside(run) for run in runs]
    elif len(runs) == 1:
        places = [output]
    else:
        common = Path(os.path.commonpath([run.resolve().parent for run in runs]))
        parts = [run.resolve().relative_to(common).parts for run in runs]
        places = [output / "-".join(one) for one in parts]
    found = list(zip(runs, places, strict=True))
    require_apart(found)
    return found


def require_apart(places: Iterable[Place]) -> None:
    """Refuse folders of refinements that are one, are a run, lie inside one or hold one.

    Raises:
        RunError: naming the folder, and the runs.
    """
    places, taken = list(places), dict[Path, Path]()
    for run, output in places:
        place = output.resolve()
        if place in taken:
            raise RunError(
                f"{taken[place]} and {run} would both be refined in {output}: refine them one by "
                "one, each with an --output."
            )
        taken[place] = run
        for other, _ in places:
            _require_outside(output, other)


_CHOOSE = "choose another with --output"


def _require_outside(output: Path, run: Path) -> None:
    place, own = output.resolve(), run.resolve()
    if place == own:
        raise RunError(f"output folder {output} is the run itself: {_CHOOSE}.")
    if place.is_relative_to(own):
        raise RunError(f"output folder {output} lies inside the run {run}: {_CHOOSE}.")
    if own.is_relative_to(place):
        raise RunError(f"output folder {output} holds the run {run}: {_CHOOSE}.")


def _require_once(runs: Sequence[Path]) -> None:
    seen: dict[Path, Path] = {}
    for run in runs:
        own = run.resolve()
        if own in seen:
            raise RunError(f"{seen[own]} and {run} are one folder: name each run once.")
        seen[own] = run
