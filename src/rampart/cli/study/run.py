"""`rampart study run`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal

import typer

from rampart.counting import counted
from rampart.errors import RunError

#: As in `engines.choosing`, which is slow to import.
EngineOption = Literal["processes", "ray", "slurm"]

if TYPE_CHECKING:
    from rampart.experiments.cells import Cell
    from rampart.experiments.running import Result, StudyResult
    from rampart.experiments.study import Study


def run(
    file: Path = typer.Argument(..., help="YAML file of the study.", show_default=False),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for the runs and tables."),
    workers: int | None = typer.Option(
        None,
        "--workers",
        min=1,
        help="Number of runs that train at once: by default 1, and as many as fit on a cluster.",
        show_default=False,
    ),
    engine: EngineOption = typer.Option("processes", "--engine", help="What carries out the runs."),
    cpus: int | None = typer.Option(
        None, "--cpus", help="CPUs of each run, in place of the file's resources.cpus."
    ),
    gpus: float | None = typer.Option(
        None, "--gpus", help="GPUs of each run, such as 0.5, in place of the file's resources.gpus."
    ),
    processes: int | None = typer.Option(
        None,
        "--processes",
        min=1,
        help="Processes of each run, in place of the file's resources.processes.",
    ),
    detach: bool = typer.Option(
        False, "--detach", help="Submit the jobs of --engine slurm, and do not wait for them."
    ),
) -> None:
    """Train and evaluate what is missing of a study; write its tables.

    The same command again skips finished runs and resumes interrupted ones. A run whose settings
    have changed in the file is a new run. A failed run does not stop the others: the reasons are
    listed at the end, and the exit status is 2.
    """
    from rampart.cli.console import console, quiet_libraries, show_progress
    from rampart.cli.interruption import explain_interruption

    quiet_libraries()
    with console.busy("loading"):
        from rampart.experiments.loading import load_study
        from rampart.files import require_output_folder

        require_output_folder(output)
        read = load_study(file, output)
        # After the study, so that a wrong file is answered at once.
        from rampart.experiments.engines.choosing import Wanted, open_engine
        from rampart.experiments.engines.dividing import require_divisible
        from rampart.experiments.running import run_study
        from rampart.experiments.study_cells import known_cells
        from rampart.experiments.study_folder import keep_file
        from rampart.runs.lock import only_writer

    given = {"cpus": cpus, "gpus": gpus, "processes": processes}
    resources = read.resources.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    require_divisible(resources.processes, known_cells(read, output))
    wanted = Wanted(resources, read.ray, read.slurm, workers, detach)
    with explain_interruption(), only_writer(output), show_progress():
        keep_file(read, file, output)
        with open_engine(engine, wanted, output) as opened:
            result = run_study(read, output, engine=opened, watcher=Lines())
        _write_tables(read, output, result)
    if not result.left_running:
        _require_no_failures(result)


def _write_tables(study: "Study", output: Path, result: "StudyResult") -> None:
    """Write and print the table of the finished runs, unless some go on after the command."""
    from rampart.experiments.study_cells import planned_runs, search_budgets
    from rampart.experiments.study_table import draw_study, write_table

    if result.left_running:
        _print(
            f"{counted(len(result.left_running), 'job')} in the queue: `rampart study status "
            f"{quote(str(output))}` shows them; once they have ended, the same command goes on."
        )
        return
    planned, references = planned_runs(study), study.references
    text = write_table(
        result.figures,
        planned,
        output,
        references,
        study.differences,
        result.missing,
        search_budgets(study),
    )
    _print(text)
    if result.figures:
        draw_study(result.figures, planned, output, references)
        _print(f"in {output}: study.md, study.png, results.csv and every run")


class Lines:
    """Prints one line for every event, on a terminal and in a file alike."""

    def on_progress(self, cell: "Cell", line: str) -> None:
        """Print the progress of a run."""
        _print(f"{cell.name}: {line}")

    def on_end(self, cell: "Cell", result: "Result", done: int, total: int) -> None:
        """Print the figures of a run, or why it has none."""
        from rampart.experiments.cells import FailedRun

        if isinstance(result, FailedRun):
            outcome = f"failed: {result.reason}"
        else:
            outcome = (
                f"clean {result.clean:.1%}, at eps_g {result.adversarial:.1%}, "
                f"expected {result.expected:.1%}"
            )
        _print(f"{done:>4}/{total}  {cell.name} ({cell.split}): {outcome}")


def _require_no_failures(result: "StudyResult") -> None:
    """List the failed runs and how to continue.

    Raises:
        RunError: a run failed.
    """
    if not result.failures:
        return
    _print("\nfailed:")
    for failure in result.failures:
        _print(f"  {failure.cell.name}: {failure.reason}\n    traceback: {failure.cell.error_file}")
    for task, choice in result.open_choices:
        _print(f"  {task}, {choice}: no value chosen, because runs that decide it failed")
    count = len(result.failures)
    raise RunError(
        f"{counted(count, 'run')} failed for the reasons listed above: fix the "
        "causes and run the same command again; it skips finished runs."
    )


def _print(text: str) -> None:
    from rampart.cli.console import console

    console.show(text)
