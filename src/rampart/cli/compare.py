"""`rampart compare`."""

from pathlib import Path

import typer


def compare(
    runs: list[Path] = typer.Argument(
        ..., help="Folders of evaluated runs, or folders that hold such.", show_default=False
    ),
    output: Path = typer.Option(
        Path("comparison"), "--output", "-o", help="Folder for the table and the pictures."
    ),
    evaluation: str = typer.Option(
        "", help="Name of the evaluation to compare, where the runs have several."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace an earlier comparison."),
) -> None:
    """Put runs side by side: a table, the curves, the histories."""
    from rampart.errors import RunError

    if (output / "comparison.json").exists() and not overwrite:
        raise RunError(
            f"{output / 'comparison.json'} exists: --overwrite replaces it, --output chooses "
            "another folder."
        )
    _require_own(output)
    compare_and_print(runs, output, evaluation)


def _require_own(output: Path) -> None:
    """Pictures among somebody's training images would become training images."""
    from rampart.errors import RunError

    ours = (output / "comparison.json").exists() or any(output.glob("*/config.yaml"))
    if output.is_dir() and any(output.iterdir()) and not ours:
        raise RunError(
            f"output folder {output} exists and holds neither runs nor a comparison: choose "
            "another with --output."
        )


def compare_and_print(runs: list[Path], output: Path, evaluation: str = "") -> None:
    """Write the comparison of runs, and print its table and its findings."""
    from rampart.cli.console import console
    from rampart.reports.comparison import find_runs, read_run, write_comparison
    from rampart.reports.findings import findings
    from rampart.reports.tables import aggregate, aggregate_table, comparison_table

    results = [read_run(path, evaluation) for path in find_runs(runs)]
    rows = write_comparison(results, output)
    console.print(comparison_table(rows))
    methods = aggregate(rows)
    if len(methods) < len(rows):
        console.print(aggregate_table(methods))
    console.print(findings(rows), soft_wrap=True)
    console.print(f"in {output}: comparison.md and .csv, curves.png, histories.png", soft_wrap=True)
