"""`rampart export`."""

from pathlib import Path

import typer

from rampart.cli.subject import require_finished


def export(
    run: Path = typer.Argument(..., help="Folder of a finished run.", show_default=False),
    to: str = typer.Option(..., "--to", help="onnx, pt2 or torchscript.", show_default=False),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        help="The file; by default model/model.onnx, model.pt2 or model.torchscript in the run's "
        "folder.",
        show_default=False,
    ),
    normalization: str = typer.Option(
        "inside",
        "--normalization",
        help="inside: the program takes pixels in [0, 1]; outside: images normalized by the "
        "model's mean and std.",
    ),
) -> None:
    """Export the model of a run for other tools.

    The exported file must predict as the run does. `rampart evaluate` and `rampart predict` take
    the file too.
    """
    from rampart.cli.console import console, quiet_libraries

    require_finished(run)
    with console.busy("exporting"):
        from rampart.recipes.export import export_run

        quiet_libraries()
        found = export_run(run, to, output, normalization)
    for line in found.lines():
        console.say(line)
