"""`rampart evaluate`."""

from pathlib import Path

import typer


def evaluate(
    run: Path = typer.Argument(..., help="Folder of a finished run.", show_default=False),
    settings: list[str] = typer.Argument(
        None,
        metavar="[KEY=VALUE]...",
        help="Changes to the run's own settings, such as threat.eps=8/255, threat.norm=l2 or "
        "evaluation.attack.steps=50.",
        show_default=False,
    ),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace an earlier evaluation with the same settings."
    ),
) -> None:
    """Measure a run's accuracy at every strength up to eps, and its expected robustness."""
    evaluate_and_print(run, tuple(settings or []), overwrite=overwrite)


def evaluate_and_print(
    run: Path, overrides: tuple[str, ...] = (), *, overwrite: bool = False
) -> None:
    """Evaluate a run, show progress meanwhile and the figures at the end."""
    from rampart.cli.console import counting, print_evaluation, quiet

    with counting("evaluating") as on_progress:
        from rampart.recipes.run import evaluate_run

        quiet()
        folder, record = evaluate_run(run, overrides, overwrite=overwrite, on_progress=on_progress)
    print_evaluation(folder, record)
