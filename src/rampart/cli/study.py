"""`rampart study`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rampart.errors import RunError

if TYPE_CHECKING:
    from rampart.experiments.cells import Cell
    from rampart.experiments.running import Result, StudyResult


def study(
    file: Path = typer.Argument(..., help="The study, a YAML file.", show_default=False),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for runs and tables."),
    workers: int = typer.Option(1, "--workers", min=1, help="Runs at the same time."),
) -> None:
    """Train and evaluate every method on every task with every seed; put them into one table.

    Runs that are finished in the folder are not run again, and one that was interrupted goes on.
    A run that fails does not stop the others: its reason is listed at the end, and the status is 2.
    """
    from rampart.cli.console import console, quiet, stopped_by_hand

    with console.status("loading"):
        from rampart.experiments.running import run_study
        from rampart.experiments.study import load_study
        from rampart.experiments.tables import write_study

    quiet()
    read = load_study(file)
    with stopped_by_hand():
        result = run_study(read, output, workers=workers, watcher=Lines())
    if result.figures:
        text = write_study(
            result.figures,
            list(read.tasks),
            output,
            read.references,
            read.differences,
            result.missing,
        )
        _print(text)
        console.print(
            f"in {output}: study.md, study.png, results.csv and every run", soft_wrap=True
        )
    _require_all(result)


class Lines:
    """One line for every piece of news, on a terminal and in a file alike."""

    def says(self, cell: "Cell", line: str) -> None:
        """Print how far a run is."""
        _print(f"{cell.name}: {line}")

    def ends(self, cell: "Cell", result: "Result", done: int, total: int) -> None:
        """Print the figures of a run, or why it has none."""
        from rampart.experiments.cells import FailedRun

        if isinstance(result, FailedRun):
            said = f"failed: {result.reason}"
        else:
            said = (
                f"clean {result.clean:.1%}, at eps_g {result.adversarial:.1%}, "
                f"expected {result.expected:.1%}"
            )
        _print(f"{done:>4}/{total}  {cell.name} ({cell.split}): {said}")


def _require_all(result: "StudyResult") -> None:
    """List what failed, and say how to go on.

    Raises:
        RunError: a run failed.
    """
    if not result.failures:
        return
    _print("\nfailed:")
    for failure in result.failures:
        _print(f"  {failure.cell.name}: {failure.reason}\n    in full: {failure.cell.error_file}")
    for task, choice in result.open_choices:
        _print(f"  {task}, {choice}: nothing is chosen, because runs to choose by failed")
    count = len(result.failures)
    raise RunError(
        f"{count} run{'' if count == 1 else 's'} failed, listed above with the reasons: remove the "
        "cause and give the same command again; it leaves out the runs that are finished. If the "
        "study file has to change for a run, delete the folder of that run first."
    )


def _print(text: str) -> None:
    from rampart.cli.console import console

    console.print(text, highlight=False, markup=False, soft_wrap=True)
