"""`rampart interpolate`."""

from pathlib import Path

import typer


def interpolate(
    first: Path = typer.Argument(..., help="Folder of a finished run, such as the robust one."),
    second: Path = typer.Argument(..., help="Folder of another, on the same data."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder of the result."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the run in the folder."),
    evaluate: bool = typer.Option(True, help="Evaluate the chosen model on the test split."),
) -> None:
    """Find the best model between two, by expected robustness on the validation split.

    The weights are those of the first model, moved towards those of the second by 0, 10, ... 100 %.
    """
    from rampart.cli.console import console, quiet
    from rampart.cli.evaluate import evaluate_trained

    with console.status("loading"):
        from rampart.recipes.config.loading import load_config
        from rampart.recipes.interpolate import FRACTIONS, Between, interpolate_runs

    quiet()

    def show(found: Between) -> None:
        if found.fraction == FRACTIONS[0]:
            console.print("of second   clean   at eps_g   expected   (validation split)")
        figures = f"{found.clean:7.1%} {found.adversarial:10.1%} {found.expected:10.1%}"
        console.print(f"{found.fraction:9.0%} {figures}", highlight=False)

    folder, best = interpolate_runs(first, second, output, overwrite=overwrite, on_found=show)
    threat = load_config(folder.config).threat_model
    text = f"{best.fraction:.0%} of the second, best at {threat}: model in {folder.model}"
    console.print(text, highlight=False, soft_wrap=True)
    if evaluate:
        evaluate_trained(output)
