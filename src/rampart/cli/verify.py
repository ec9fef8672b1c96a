"""`rampart verify`."""

from pathlib import Path

import typer

from rampart.cli.overrides import ordered


def verify(
    record: Path = typer.Argument(
        ...,
        help="Folder of an evaluation made with evaluation.adversarial_examples=true.",
        show_default=False,
    ),
    settings: list[str] = typer.Argument(
        None,
        metavar="[KEY=VALUE]...",
        help="Changes to its settings, such as data=FOLDER if the images have moved.",
        show_default=False,
    ),
) -> None:
    """Check an evaluation again from the adversarial examples that it saved.

    This takes one or two forward passes per image.
    """
    from rampart.cli.console import console, progress_bar, quiet_libraries

    with progress_bar("verifying") as on_progress:
        from rampart.recipes.evaluation.verify import verify as check

        quiet_libraries()
        found = check(record, tuple(ordered(settings or [])), on_progress)
    console.print(found.verdict, soft_wrap=True)
    for failure in found.failures[:10]:
        console.print(f"  {failure.id}: {failure.reason}", soft_wrap=True)
    if not found.ok:
        raise typer.Exit(1)
