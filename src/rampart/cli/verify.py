"""`rampart verify`."""

from pathlib import Path

import typer


def verify(
    record: Path = typer.Argument(
        ...,
        help="Folder of an evaluation made with evaluation.adversarial_examples=true.",
        show_default=False,
    ),
    settings: list[str] = typer.Argument(
        None,
        metavar="[KEY=VALUE]...",
        help="Changes to its settings, such as data=FOLDER where the images have moved.",
        show_default=False,
    ),
) -> None:
    """Check a record again from its adversarial images, at one or two forward passes an image."""
    from rampart.cli.console import console, counting, quiet

    with counting("verifying") as on_progress:
        from rampart.recipes.evaluation.verify import verify as check

        quiet()
        found = check(record, tuple(settings or []), on_progress)
    console.print(found.verdict, soft_wrap=True, markup=False)
    for failure in found.failures[:10]:
        console.print(f"  {failure.id}: {failure.reason}", soft_wrap=True, markup=False)
    if not found.ok:
        raise typer.Exit(1)
