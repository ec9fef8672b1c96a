"""What `--published` adds to the verbs that show a study: the publication beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rampart.cli.study.place import say_unfinished

if TYPE_CHECKING:
    from rampart.experiments.study import Study

#: Folder of these tables and pictures, in that of the study.
FOLDER = "published"

Published = typer.Option(
    False, "--published", help="Compare with the publication (arXiv 2509.23325) instead."
)


def write_tables(study: "Study", folder: Path, form: str | None) -> None:
    """Write the tables of a study beside the published ones, in one format or in all.

    Raises:
        UnknownName: of a format.
    """
    from rampart.experiments.published.reading import read_results
    from rampart.experiments.published.write_tables import write_published_tables
    from rampart.reports.sheets import FORMATS, format_named

    chosen = [format_named(form)] if form else list(FORMATS)
    read = read_results(study, folder)
    files = write_published_tables(read.results, folder / FOLDER, read.references, chosen)
    _report(folder / FOLDER, files, sum(one.missing for one in read.results), read.unreadable)


def write_figures(study: "Study", folder: Path) -> None:
    """Draw the pictures of the publication from the runs of a study."""
    from rampart.experiments.published.reading import read_results
    from rampart.experiments.published.write_pictures import write_published_figures

    read = read_results(study, folder)
    drawn = write_published_figures(read.results, folder / FOLDER)
    missing = sum(one.missing for one in read.results)
    _report(folder / FOLDER, drawn.files, missing, [*read.unreadable, *drawn.unreadable])


def _report(folder: Path, files: Sequence[Path], missing: int, unreadable: Sequence[str]) -> None:
    """Print what was written, and what was not in it."""
    from rampart.cli.console import console

    def say(text: str) -> None:
        console.show(text)

    if files:
        say(f"in {folder}: {', '.join(path.name for path in files)}")
    else:
        say("nothing is written: no run of the study is finished")
    say_unfinished(missing)
    for reason in unreadable:
        say(f"left out: {reason}")
