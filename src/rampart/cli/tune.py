"""`rampart tune`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rampart.cli.overrides import HELP
from rampart.cli.subject import load_for_data

if TYPE_CHECKING:
    from rampart.experiments.tuning.trials import Report, Search, Trial


def tune(
    settings: list[str] = typer.Argument(
        None, metavar="[CONFIG.yaml] [KEY=VALUE]...", help=HELP, show_default=False
    ),
    output: Path = typer.Option(..., "--output", "-o", help="Folder of the search."),
    runs: int | None = typer.Option(
        None, "--runs", help="Budget: number of runs.", show_default=False
    ),
    minutes: float | None = typer.Option(
        None, "--minutes", help="Budget: minutes of wall time.", show_default=False
    ),
    metric: str = typer.Option(
        "clean", help="Figure on the validation split to improve: clean, expected or loss."
    ),
    sampler: str = typer.Option("random", help="How the settings are drawn: random or optuna."),
    per_phase: bool = typer.Option(
        False, "--per-phase", help="Search the learning rates above eps = 0 apart."
    ),
    workers: int | None = typer.Option(
        None, "--workers", help="Largest number of runs at once.", show_default="as many as fit"
    ),
    cpus: int = typer.Option(1, "--cpus", help="CPUs, and threads, of each run."),
    gpus: float | None = typer.Option(
        None,
        "--gpus",
        help="GPUs of each run, such as 0.5 for two runs on each.",
        show_default="1 if there is a GPU",
    ),
) -> None:
    """Search learning rates and weight decays; write tuned.yaml.

    Trials are compared on the validation split. Ray Tune trains the runs and stops the poor ones
    early (ASHA). The same command again resumes; with a larger budget it continues.
    """
    from rampart.cli.console import console, quiet_libraries, show_progress
    from rampart.cli.interruption import explain_interruption
    from rampart.cli.overrides import config_and_overrides
    from rampart.experiments.ray_session import Resources
    from rampart.experiments.tuning.session import Budget
    from rampart.files import require_output_folder

    budget, resources = Budget(runs, minutes), Resources(cpus, gpus, workers)
    require_output_folder(output)
    config = load_for_data(*config_and_overrides(settings or []))
    # After the configuration, so that a wrong one is answered at once.
    with console.busy("loading"):
        from rampart.experiments.tuning.searching import run_search
        from rampart.experiments.tuning.trials import make_search

    quiet_libraries()
    search = make_search(config, output.absolute(), metric, sampler, per_phase)
    with explain_interruption(), show_progress():
        outcome = run_search(search, budget, resources, Lines(search))
    console.show(outcome.table)
    console.say(f"in {output}: tuned.yaml, trials.md, trials.csv")
    console.say(f"next: rampart train {output / 'tuned.yaml'} -o FOLDER")


class Lines:
    """Prints one line for every event, on a terminal and in a file alike."""

    def __init__(self, search: "Search") -> None:
        self._search = search

    def on_start(self, trial: "Trial") -> None:
        """Print the settings."""
        from rampart.experiments.tuning.space import spell

        _print(f"run {trial.number}: {spell(trial.settings)}")

    def on_epoch(self, trial: "Trial", report: "Report") -> None:
        """Print the metric."""
        epochs = self._search.config.training.epochs
        reached = f"epoch {report.epoch}/{epochs}"
        value = self._search.spell(report.value)
        _print(f"run {trial.number}: {reached}  {self._search.metric} {value}")

    def on_end(self, trial: "Trial") -> None:
        """Print how the run ended."""
        _print(f"run {trial.number}: {trial.status}{f': {trial.reason}' if trial.reason else ''}")


def _print(text: str) -> None:
    from rampart.cli.console import console

    console.say(text)
