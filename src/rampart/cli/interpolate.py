"""`rampart interpolate`."""

from pathlib import Path

import typer

from rampart.cli.interruption import explain_interruption
from rampart.cli.subject import require_finished
from rampart.runs.run_folder import RunFolder


def interpolate(
    first: Path = typer.Argument(..., help="Folder of a finished run, such as the robust one."),
    second: Path = typer.Argument(..., help="Folder of a second run on the same data."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the new run."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the run in the folder and its evaluations."
    ),
    evaluate: bool = typer.Option(True, help="Evaluate the chosen model on the test split."),
) -> None:
    """Interpolate between two runs, and save the best model.

    The second run gets a weight of 0, 10, ..., 100 %. The best model has the highest expected
    robustness on the validation split.
    """
    from rampart.cli.console import console, quiet_libraries, show_progress
    from rampart.cli.evaluate import evaluate_trained

    require_finished(first, second)
    RunFolder(output).require_free(resume=None, overwrite=overwrite)
    with console.busy("loading"):
        from rampart.recipes.choosing import FRACTIONS, Between
        from rampart.recipes.config.loading import load_config
        from rampart.recipes.interpolate import interpolate_runs

    quiet_libraries()

    def show(found: Between) -> None:
        if found.fraction == FRACTIONS[0]:
            console.say("of second   clean   at eps_g   expected   (validation split)")
        figures = f"{found.clean:7.1%} {found.adversarial:10.1%} {found.expected:10.1%}"
        console.say(f"{found.fraction:9.0%} {figures}")

    again = "nothing is saved, run the same command again to start anew"
    with explain_interruption(again), show_progress():
        folder, best = interpolate_runs(first, second, output, overwrite=overwrite, on_found=show)
    threat = load_config(folder).threat_model
    text = f"best at {threat}: {best.fraction:.0%} of the second run; model in {folder.model}"
    console.say(text)
    if evaluate:
        evaluate_trained(output)
