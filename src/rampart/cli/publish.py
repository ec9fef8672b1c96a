"""`rampart publish`."""

from pathlib import Path

import typer

from rampart.cli.subject import require_finished


def publish(
    run: Path = typer.Argument(..., help="Folder of a finished run.", show_default=False),
    to: str = typer.Option(
        ...,
        "--to",
        metavar="FOLDER|hf:OWNER/NAME",
        help="An empty or new folder, or a repository of the Hugging Face hub.",
        show_default=False,
    ),
    private: bool = typer.Option(False, "--private", help="Create a private repository."),
    license: str = typer.Option(
        "", "--license", help="Of the model, such as apache-2.0.", show_default=False
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Check everything, list the files, and write nothing."
    ),
) -> None:
    """Publish a run: model, model card and evaluation records.

    timm and Rampart load the model from the folder or by its name on the hub. The token of the hub
    comes from `hf auth login` or HF_TOKEN.
    """
    from rampart.cli.console import console, quiet_libraries, show_progress
    from rampart.recipes.publishing.destination import require_destination

    require_finished(run)
    require_destination(to, private=private, license=license)
    with console.busy("loading"):
        from rampart.recipes.publishing.publish import publish_run

    quiet_libraries()
    with show_progress():
        found = publish_run(run, to, private=private, license=license, dry_run=dry_run)
    for line in found.lines():
        console.say(line)
