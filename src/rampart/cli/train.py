"""`rampart train`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rampart.cli.interruption import explain_interruption
from rampart.cli.json_output import Json, print_json
from rampart.cli.overrides import HELP
from rampart.cli.subject import load_for_data

if TYPE_CHECKING:
    from rampart.data.splits import Splits
    from rampart.training.state import Run


def train(
    settings: list[str] = typer.Argument(
        None, metavar="[CONFIG.yaml] [KEY=VALUE]...", help=HELP, show_default=False
    ),
    output: Path = typer.Option(..., "--output", "-o", help="Folder of the run."),
    resume: bool = typer.Option(False, "--resume", help="Resume the run in the folder."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the run in the folder and its evaluations."
    ),
    evaluate: bool = typer.Option(True, help="Evaluate the finished model on the test split."),
    as_json: bool = Json,
) -> None:
    """Fine-tune a classifier, and measure how robust it is.

    With several processes: accelerate launch -m rampart train ...
    """
    from rampart.cli.console import console, print_plan, quiet_libraries, show_progress
    from rampart.cli.evaluate import evaluate_trained
    from rampart.cli.overrides import config_and_overrides
    from rampart.runs.history import History
    from rampart.runs.passes import Passes
    from rampart.runs.run_folder import RunFolder

    path, overrides = config_and_overrides(settings or [])
    folder = RunFolder(output)
    # Before the configuration, whose components are slow to import.
    folder.require_free(resume, overwrite)
    own = resume and path is None and folder.exists()
    if resume and not (own or path or overrides):
        raise folder.no_run()
    config, begun = load_for_data(folder if own else path, overrides, resume=resume), []
    # After the configuration, so that a wrong one is answered at once.
    with console.busy("loading"):
        from rampart.recipes.train import train_run
        from rampart.training.reporting import ConsoleReporter

    quiet_libraries()

    def announce(run: "Run", splits: "Splits") -> None:
        begun.append(run.step)
        print_plan(config, run, splits)

    def advice() -> str:
        # Before its announcement a run has changed nothing.
        if not begun:
            return "nothing is changed, run the same command again"
        return f"{folder.how_to_resume()} to resume"

    with explain_interruption(advice), show_progress():
        train_run(
            config,
            output,
            resume=resume,
            overwrite=overwrite,
            reporter=ConsoleReporter(console),
            announce=announce,
        )
    passes = Passes.of(History(folder.history).readable_rows(), folder.facts())
    console.say(f"model in {folder.model}, {passes}")
    evaluation = evaluate_trained(output) if evaluate else None
    if as_json:
        facts = {"run": output, "model": folder.model, "status": folder.status()}
        print_json({**facts, "passes": passes.facts(), "evaluation": evaluation})
