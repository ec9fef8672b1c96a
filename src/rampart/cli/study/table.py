"""`rampart study table`."""

from pathlib import Path

import typer

from rampart.cli.json_output import Json, print_json
from rampart.cli.study.place import Output, Place, read, say_unfinished
from rampart.cli.study.published import Published, write_tables
from rampart.errors import InvalidArgument


def table(
    place: Path = Place,
    output: Path | None = Output,
    published: bool = Published,
    form: str | None = typer.Option(
        None,
        "--format",
        help="md, csv or latex, for the published tables only; by default all.",
        show_default=False,
    ),
    as_json: bool = Json,
) -> None:
    """Write the table of a study; train nothing.

    The table shows the runs that are finished. A row says how many of its runs are finished if some
    are missing.
    """
    if form and not published:
        raise InvalidArgument("--format", form, "--published beside it")
    if published and as_json:
        do = "leave out one of them; --format csv gives the published tables to machines"
        raise InvalidArgument("--json", "--published", "the table of the study", do)
    from rampart.cli.console import console
    from rampart.experiments.study_cells import planned_runs, search_budgets
    from rampart.experiments.study_table import write_table

    study, folder, state = read(place, output)
    if published:
        write_tables(study, folder, form)
        return
    text = write_table(
        state.figures,
        planned_runs(study),
        folder,
        study.references,
        study.differences,
        searches=search_budgets(study),
    )
    if as_json:
        runs = [one._asdict() for one in state.figures]
        print_json({"folder": folder, "runs": runs, "unfinished": state.unfinished})
        return
    console.show(text)
    console.say(f"in {folder}: study.md, results.csv")
    say_unfinished(state.unfinished)
