"""`rampart study`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rampart.experiments.rows import RunFigures
    from rampart.experiments.study import Cell


def study(
    file: Path = typer.Argument(..., help="The study, a YAML file.", show_default=False),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for runs and tables."),
    workers: int = typer.Option(1, "--workers", min=1, help="Runs at the same time."),
) -> None:
    """Train and evaluate every arm on every task with every seed; put them into one table.

    Runs that are finished in the folder are not run again, and one that was interrupted goes on.
    """
    from rampart.cli.console import console, quiet

    with console.status("loading"):
        from rampart.experiments.study import load_study, run_study
        from rampart.experiments.tables import write_study

    quiet()
    read = load_study(file)
    figures = run_study(read, output, workers=workers, on_done=_tell)
    text = write_study(figures, list(read.tasks), output, read.references, read.differences)
    console.print(text, soft_wrap=True, markup=False, highlight=False)
    console.print(f"in {output}: study.md, study.png, results.csv and every run", soft_wrap=True)


def _tell(cell: "Cell", figures: "RunFigures", done: int, total: int) -> None:
    from rampart.cli.console import console

    console.print(
        f"{done:>4}/{total}  {cell.task}, {cell.arm}, seed {cell.config.seed} ({cell.split}): "
        f"clean {figures.clean:.1%}, at eps_g {figures.adversarial:.1%}, "
        f"expected {figures.expected:.1%}",
        highlight=False,
        soft_wrap=True,
    )
