"""`rampart quickstart`."""

from pathlib import Path
from shlex import quote

import typer


def quickstart(
    output: Path = typer.Option(
        Path("rampart-quickstart"), "--output", "-o", help="Folder for the runs and the comparison."
    ),
    full: bool = typer.Option(False, "--full", help="Run five seeds, and show intervals."),
    resume: bool = typer.Option(False, "--resume", help="Resume the runs in the folder."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the quickstart's runs in the folder."
    ),
) -> None:
    """Try the method on handwritten digits, in minutes.

    A CPU is enough.
    """
    from rampart.cli.compare import compare_and_print
    from rampart.cli.console import console, quiet_libraries, show_progress
    from rampart.cli.interruption import explain_interruption
    from rampart.files import require_output_folder

    require_output_folder(output)
    console.print(
        "A small network, pretrained on printed glyphs, learns the numbers 00 to 99 written as "
        "pairs of real handwritten digits. It has to withstand changes of up to 20/255 in every "
        "pixel. Four schedules fine-tune it for 15 epochs each: standard (no attack), fix (full "
        "strength from the start), two-hinge and adaptive (rising strength). This takes one to "
        "two minutes on a CPU core. Each line gives the strength eps at the end of the "
        "epoch and the accuracy on the validation split, clean and attacked at eps_g = 20/255.\n"
    )
    with console.busy("loading"):
        from rampart.experiments.quickstart import SEEDS, run_quickstart
        from rampart.runs.lock import only_writer
        from rampart.training.reporting import ConsoleReporter

    quiet_libraries()
    again = f"rampart quickstart --output {quote(str(output))}{' --full' if full else ''} --resume"
    with explain_interruption(f"`{again}` resumes"), show_progress():
        folders = run_quickstart(
            output,
            seeds=SEEDS if full else SEEDS[:1],
            resume=resume,
            overwrite=overwrite,
            reporter=ConsoleReporter(console),
        )
    with only_writer(output):
        compare_and_print(folders, output)
    console.print(
        "The task was chosen because training at full strength from the start fails on it. It "
        "illustrates the method; it is not independent evidence that the method is better."
    )
