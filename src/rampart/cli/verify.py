"""`rampart verify`."""

from pathlib import Path

import typer

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
) -> None:
    """Check files by their checksums, and evaluations by attacks.

    A folder of runs is read once. An evaluation made with evaluation.adversarial_examples=true
    takes one or two forward passes per image.
    """
    from rampart.cli.console import console, progress_bar, quiet_libraries
    from rampart.errors import RunError
    from rampart.records.whole_folders import check_files
    from rampart.runs.evaluation_folder import EvaluationFolder

    files = check_files(folder)
    console.say(f"{folder}: {files.verdict}")
    for fault in files.faults:
        console.say(f"  {fault}")
    if files.faults:
        raise typer.Exit(1)
    if not EvaluationFolder(folder).is_finished():
        if settings:
            raise RunError(
                f"{folder} holds no evaluation itself, so {settings[0]} has no effect: leave it "
                "out, or give the folder of an evaluation."
            )
        return
    with progress_bar("verifying") as on_progress:
        from rampart.recipes.evaluation.verify import verify as check

        quiet_libraries()
        found = check(folder, tuple(ordered(settings or [])), on_progress)
    console.say(found.verdict)
    for failure in found.failures[:10]:
        console.say(f"  {failure.id}: {failure.reason}")
    if not found.ok:
        raise typer.Exit(1)
