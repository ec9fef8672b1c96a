"""`rampart quickstart`."""

from pathlib import Path

import typer


def quickstart(
    output: Path = typer.Option(
        Path("rampart-quickstart"), "--output", "-o", help="Folder for runs and comparison."
    ),
    full: bool = typer.Option(False, "--full", help="Five seeds, with intervals."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the runs in the folder."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace what is in the folder."),
) -> None:
    """See the method work on real handwritten digits, in minutes on a laptop's processor."""
    from rampart.cli.compare import compare_and_print
    from rampart.cli.console import console, quiet, stopped_by_hand

    console.print(
        "A small network, pretrained on printed glyphs, learns the numbers 00 to 99 written as "
        "pairs of real handwritten digits, and has to withstand changes of up to 20/255 in every "
        "pixel. Four ways to fine-tune it, 15 epochs each: standard (never attacked), fix (full "
        "strength all the time), two-hinge and adaptive (rising strength). It takes two to "
        "three minutes on two processor cores. Each line gives the strength eps at the end of the "
        "epoch and the accuracy on the validation split, clean and attacked at eps_g = 20/255.\n"
    )
    with console.status("loading"):
        from rampart.experiments.quickstart import SEEDS, run_quickstart
        from rampart.training.reporting import ConsoleReporter

    quiet()
    with stopped_by_hand("the same command with --resume goes on from there"):
        folders = run_quickstart(
            output,
            seeds=SEEDS if full else SEEDS[:1],
            resume=resume,
            overwrite=overwrite,
            reporter=ConsoleReporter(console),
        )
    compare_and_print(folders, output)
    console.print(
        "The task was chosen because full strength from the start fails on it: it shows what the "
        "method is about, and is no independent evidence that it is better."
    )
