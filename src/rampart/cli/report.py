"""`rampart report`."""

from pathlib import Path

import typer


def report(
    records: list[Path] = typer.Argument(
        ..., help="Folders of evaluations, or of evaluated runs.", show_default=False
    ),
    distribution: list[str] = typer.Option(
        [],
        "--distribution",
        "-d",
        help="Distribution of the strengths, besides the uniform one: beta:a=2,b=5 or "
        "point:eps=2/255 or piecewise:edges=[0,2/255,4/255],weights=[1,3] or uniform:high=2/255. "
        "May be repeated.",
        show_default=False,
    ),
    per_class: bool = typer.Option(
        False, "--per-class", help="Show every class, not only the worst one."
    ),
    machine: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Summarize evaluations, and compare two models.

    A summary has intervals, bounds, classes and costs. No attack runs again. Two records on the
    same images are compared image by image; runs that differ only in their seed are grouped.
    """
    import json

    from rampart.cli.console import console
    from rampart.reports.measures import report as measure
    from rampart.reports.named_records import find_records
    from rampart.reports.statements import report_lines

    facts = measure(find_records(records), distribution, per_class)
    if machine:
        typer.echo(json.dumps(facts, indent=1))
        return
    for line in report_lines(facts):
        console.say(line)
