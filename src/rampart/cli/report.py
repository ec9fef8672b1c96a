"""`rampart report`."""

from pathlib import Path

import typer

from rampart.cli.json_output import Json, print_json


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
    as_json: bool = Json,
    page: bool = typer.Option(
        False,
        "--html",
        help="Write one HTML page, by default as report.html into the folder of the run or of the "
        "evaluation.",
    ),
    output: Path = typer.Option(
        None, "--output", "-o", help="File of the page that --html writes.", show_default=False
    ),
) -> None:
    """Summarize evaluations, and compare two models.

    A summary has intervals, bounds, classes and costs. No attack runs again. Two records on the
    same images are compared image by image; runs that differ only in their seed are grouped.
    """
    from rampart.cli.console import console
    from rampart.reports.measures import report as measure
    from rampart.reports.named_records import find_records
    from rampart.reports.statements import report_lines

    if page or output:
        _write_page(records, output, distribution, page=page, others=per_class or as_json)
        return
    facts = measure(find_records(records), distribution, per_class)
    if as_json:
        print_json(facts)
        return
    for line in report_lines(facts):
        console.say(line)


def _write_page(
    records: list[Path], output: Path | None, distribution: list[str], *, page: bool, others: bool
) -> None:
    """Write the page of one folder; refuse options that it does not have."""
    from rampart.cli.console import console
    from rampart.errors import InvalidArgument
    from rampart.files import require_output_folder
    from rampart.reports.page.write import write_report

    if not page:
        raise InvalidArgument("output", str(output), "--html too", "add --html")
    if others:
        got = "--html with --per-class or --json"
        raise InvalidArgument("html", got, "one of them", "the page shows every class already")
    if output is not None:
        if output.is_dir() or output.suffix.lower() not in (".html", ".htm"):
            raise InvalidArgument("output", str(output), "a file that ends in .html")
        require_output_folder(output.parent)
    console.say(f"report in {write_report(records, output, distribution)}")
