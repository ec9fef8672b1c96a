"""`rampart verify`."""

from pathlib import Path
from typing import Any

import typer

from rampart.cli.json_output import Json, print_json
from rampart.cli.overrides import ordered


def verify(
    folder: Path = typer.Argument(
        ...,
        help="Folder of a run, of an evaluation, or of many of them, such as a study.",
        show_default=False,
    ),
    settings: list[str] = typer.Argument(
        None,
        metavar="[KEY=VALUE]...",
        help="For an evaluation: changes to its settings, such as data=FOLDER if the images have "
        "moved.",
        show_default=False,
    ),
    as_json: bool = Json,
) -> None:
    """Check files by their checksums, and evaluations by attacks.

    A folder of runs is read once. An evaluation made with evaluation.adversarial_examples=true
    takes one or two forward passes per image.
    """
    facts = _verify(folder, settings or [])
    if as_json:
        print_json(facts)
    if not facts["ok"]:
        raise typer.Exit(1)


def _verify(folder: Path, settings: list[str]) -> dict[str, Any]:
    """Check a folder, print the result, and return it."""
    from rampart.cli.console import console, quiet_libraries, show_progress
    from rampart.errors import RunError
    from rampart.records.whole_folders import check_files
    from rampart.runs.evaluation_folder import EvaluationFolder

    with show_progress():
        files = check_files(folder)
    console.say(f"{folder}: {files.verdict}")
    for fault in files.faults:
        console.say(f"  {fault}")
    facts: dict[str, Any] = {"folder": folder, "ok": not files.faults, "files": files}
    if files.faults:
        return facts
    if not EvaluationFolder(folder).is_finished():
        if settings:
            raise RunError(
                f"{folder} holds no evaluation itself, so {settings[0]} has no effect: leave it "
                "out, or give the folder of an evaluation."
            )
        return facts
    with show_progress():
        from rampart.recipes.evaluation.verify import verify as check

        quiet_libraries()
        found = check(folder, tuple(ordered(settings)))
    console.say(found.verdict)
    for failure in found.failures[:10]:
        console.say(f"  {failure.id}: {failure.reason}")
    return {**facts, "ok": found.ok, "evaluation": found.figures()}
