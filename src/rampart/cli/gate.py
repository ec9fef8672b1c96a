"""`rampart gate`."""

from pathlib import Path

import typer

from rampart.cli.json_output import Json, print_json


def gate(
    record: list[str] = typer.Argument(
        ...,
        metavar="RUN|RECORD",
        help="Folder of an evaluated run, or of an evaluation.",
        show_default=False,
    ),
    expected: str = typer.Option(
        None,
        "--expected",
        metavar="LIMIT",
        help='Limit of expected robustness, such as ">=0.40".',
        show_default=False,
    ),
    at: list[str] = typer.Option(
        [],
        "--at",
        metavar="EPS LIMIT",
        help='Limit of accuracy at a strength, such as 4/255 ">=0.25"; may be repeated.',
        show_default=False,
    ),
    clean: str = typer.Option(
        None,
        "--clean",
        metavar="LIMIT",
        help='Limit of clean accuracy, such as ">=0.80".',
        show_default=False,
    ),
    distribution: str = typer.Option(
        None,
        "--distribution",
        "-d",
        help="Distribution of the strengths for --expected, as for `rampart report`; uniform by "
        "default.",
        show_default=False,
    ),
    as_json: bool = Json,
    sarif: Path = typer.Option(
        None, "--sarif", help="Also write SARIF 2.1.0 to this file.", show_default=False
    ),
) -> None:
    """Pass or fail a model by the lower ends of its intervals.

    The exit status is 0 if every limit is met, and 1 if not. A trust check that failed, or checks
    that did not run, refuse to pass. No attack runs again.
    """
    import json

    from rampart.cli.console import console
    from rampart.files import require_output_folder, write_atomic
    from rampart.reports.gate import decide
    from rampart.reports.named_records import find_records
    from rampart.reports.sarif import sarif as as_sarif

    path, limits = _path_and_limits(record, at)
    if sarif is not None:
        require_output_folder(sarif.parent)
    (measured,) = find_records([path])
    decision = decide(measured, expected, limits, clean, distribution)
    if sarif is not None:
        write_atomic(sarif, json.dumps(as_sarif(decision, path), indent=1) + "\n")
    if as_json:
        print_json(decision.facts())
    else:
        for one in decision.conditions:
            console.say(f"{'pass' if one.met else 'FAIL'}  {one.name}: {one.message}")
        console.say(decision.verdict)
    if not decision.passed:
        raise typer.Exit(1)


def _path_and_limits(words: list[str], at: list[str]) -> tuple[Path, list[tuple[str, str]]]:
    """Return the folder, and each strength of --at with the limit behind it.

    An option takes one word, so the limits arrive among the arguments, in the same order.
    """
    from rampart.errors import InvalidArgument

    limits = [word for word in words if word.startswith((">", "<", "="))]
    paths = [word for word in words if word not in limits]
    if len(paths) != 1:
        got = " ".join(paths) or "none"
        raise InvalidArgument("record", got, "one folder", "gate each record by itself")
    if len(limits) != len(at):
        got = f"{len(at)} strengths and {len(limits)} limits"
        raise InvalidArgument("at", got, "a limit behind each", 'write --at 4/255 ">=0.25"')
    return Path(paths[0]), list(zip(at, limits, strict=True))
