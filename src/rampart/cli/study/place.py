"""The arguments with which verbs name a study that has been started."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rampart.counting import counted

if TYPE_CHECKING:
    from rampart.experiments.study import Study
    from rampart.experiments.study_state import StudyState

Place = typer.Argument(
    ...,
    metavar="FOLDER|FILE",
    help="Folder of the study; or its file, and the folder as an option.",
    show_default=False,
)
Output = typer.Option(
    None, "--output", "-o", help="Folder of the study, if its file is given.", show_default=False
)


def read(place: Path, output: Path | None) -> tuple["Study", Path, "StudyState"]:
    """Return a study, its folder, and how far it is."""
    from rampart.cli.console import console, quiet_libraries

    with console.busy("loading"):
        from rampart.experiments.study_state import open_study, read_state

        quiet_libraries()
        study, folder = open_study(place, output)
        return study, folder, read_state(study, folder)


def say_unfinished(count: int) -> None:
    """Print how many runs a table or picture lacks, if any, and where the reasons stand."""
    from rampart.cli.console import console

    if count:
        runs = counted(count, "run")
        console.show(f"{runs} of the study not finished: `rampart study status` says why")
