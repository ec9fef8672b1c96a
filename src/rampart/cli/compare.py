"""`rampart compare`."""

from pathlib import Path
from typing import Any

import typer

from rampart.cli.json_output import Json, print_json


def compare(
    runs: list[Path] = typer.Argument(
        ..., help="Folders of evaluated runs, or folders that contain them.", show_default=False
    ),
    output: Path = typer.Option(
        Path("comparison"), "--output", "-o", help="Folder for the tables and plots."
    ),
    evaluation: str = typer.Option(
        "", help="Name of the evaluation to compare, if the runs have several."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace an earlier comparison."),
    as_json: bool = Json,
) -> None:
    """Compare evaluated runs in a table and in plots.

    The plots show curves and training histories.
    """
    from rampart.files import require_output_folder
    from rampart.runs.lock import only_writer

    require_output_folder(output)
    with only_writer(output):
        _require_own_folder(output, overwrite)
        facts = compare_and_print(runs, output, evaluation)
    if as_json:
        print_json(facts)


def _require_own_folder(output: Path, overwrite: bool) -> None:
    """Refuse a folder of other files: plots in a folder of training images would be trained on."""
    from rampart.errors import RunError
    from rampart.files import is_scratch
    from rampart.reports.comparison import require_own_comparison
    from rampart.runs.lock import is_lock

    if (output / "comparison.json").exists() and not overwrite:
        raise RunError(
            f"{output / 'comparison.json'} exists: --overwrite replaces it, --output chooses "
            "another folder."
        )
    ours = (output / "comparison.json").exists() or any(output.glob("*/config.yaml"))
    others = [one for one in output.iterdir() if not (is_lock(one) or is_scratch(one))]
    if others and not ours:
        raise RunError(
            f"output folder {output} exists and holds neither runs nor a comparison: choose "
            "another with --output."
        )
    require_own_comparison(output)


def compare_and_print(runs: list[Path], output: Path, evaluation: str = "") -> dict[str, Any]:
    """Write the comparison of runs; print its table and findings, and return them."""
    from shlex import join

    from rampart.cli.console import console
    from rampart.reports.comparison import PAGE, find_runs, read_run, write_comparison, written
    from rampart.reports.findings import findings
    from rampart.reports.named_records import Measured
    from rampart.reports.page.comparing import comparison_page
    from rampart.reports.page.write import write_built_page
    from rampart.reports.tables import aggregate, aggregate_table, comparison_table
    from rampart.runs.contents import spell

    results = [read_run(path, evaluation) for path in find_runs(runs)]
    beside = sorted({name for run in results for name in run.others})
    if beside and not evaluation:
        console.say(
            "note: each run is compared by the evaluation of its own configuration; --evaluation "
            f"NAME compares another: {spell(beside)}"
        )
    rows = write_comparison(results, output)
    console.print(comparison_table(rows))
    methods = aggregate(rows)
    if len(methods) < len(rows):
        console.print(aggregate_table(methods))
    said = findings(rows)
    console.show(said)
    measured = [Measured(one.name, one.record, one.others, one.lacks.unfinished) for one in results]
    page = comparison_page(
        measured,
        histories=[(one.name, one.history) for one in results],
        findings=said,
        command=join(["rampart", "compare", *map(str, runs), "--output", str(output)]),
    )
    write_built_page(page, output / PAGE)
    console.say(f"in {output}: {', '.join(written(output))}")
    return {"folder": output, "runs": rows, "methods": methods, "findings": said}
