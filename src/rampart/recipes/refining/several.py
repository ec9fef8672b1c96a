"""Several refinements of one command: all are checked before the first one begins."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rampart.errors import RunError
from rampart.recipes.refining.places import Place, require_apart
from rampart.recipes.refining.preparing import prepare, settings_of, spell_changes
from rampart.recipes.refining.settings import Refinement
from rampart.runs.contents import spell
from rampart.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Task:
    """One refinement of several.

    Attributes:
        run: the run to refine.
        output: folder of the new run.
        settings: those that are given, by their names; all of them beside others.
        resume: continue the refinement in the folder.
    """

    run: Path
    output: Path
    settings: Mapping[str, Any]
    resume: bool


def plan_refinements(
    places: Sequence[Place], given: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> list[Task]:
    """Return what is to be done; several runs are checked as if each were refined alone.

    All have the same settings: where some are continued, the others begin with theirs. One run is
    not checked here, because `refine_run` does it.

    Args:
        places: the runs, and the folders of their refinements.
        given: the settings that are given, by their names.
        resume: continue the refinements that have begun.
        overwrite: replace the runs in the folders.

    Raises:
        RunError: a run or a folder that `refine_run` refuses, nothing to resume, or refinements
            with different settings where another one is to begin.
    """
    if len(places) == 1:
        ((run, output),) = places
        return [Task(run, output, given, resume)]
    require_apart(places)
    begun = [resume and RunFolder(output).exists() for _, output in places]
    if resume and not any(begun):
        named = spell([output for _, output in places])
        raise RunError(f"no refinement to resume in {named}: leave out --resume to start them.")
    checked = [
        _check(*place, given, again, overwrite) for place, again in zip(places, begun, strict=True)
    ]
    known = [one for one, again in zip(checked, begun, strict=True) if again]
    outputs = [output for (_, output), again in zip(places, begun, strict=True) if again]
    if known and not all(begun):
        _require_one(known, outputs)
    common = known[0] if known else checked[0]
    return [
        Task(run, output, asdict(own if again else common), again)
        for (run, output), own, again in zip(places, checked, begun, strict=True)
    ]


def _check(
    run: Path, output: Path, given: Mapping[str, Any], resume: bool, overwrite: bool
) -> Refinement:
    """Refuse what `refine_run` would refuse; return the settings."""
    source, folder = RunFolder(run), RunFolder(output)
    source.require_finished()
    folder.require_free(resume, overwrite)
    return settings_of(folder, resume, prepare(source), given)


def _require_one(known: Sequence[Refinement], outputs: Sequence[Path]) -> None:
    """Refuse settings that differ, of which none can be that of a further refinement."""
    for one, output in zip(known, outputs, strict=True):
        if changed := spell_changes(asdict(known[0]), asdict(one)):
            raise RunError(
                f"{outputs[0]} and {output} were started with different settings ({changed}), so "
                "those of the runs that are left are not known: resume and start each run alone."
            )
