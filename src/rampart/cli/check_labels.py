"""`rampart check-labels`."""

from pathlib import Path

import typer

from rampart.cli.json_output import Json, print_json
from rampart.cli.linear_probe import with_model
from rampart.cli.overrides import HELP
from rampart.cli.subject import load_for_data


def check_labels(
    settings: list[str] = typer.Argument(
        None, metavar="[MODEL | CONFIG.yaml] [KEY=VALUE]...", help=HELP, show_default=False
    ),
    output: Path = typer.Option(
        Path("labels"), "--output", "-o", help="Folder of the table and the page."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the check in the folder."),
    as_json: bool = Json,
) -> None:
    """List the training images whose labels are likely wrong.

    Linear heads on features of a pretrained backbone, each fitted to other images, tell which
    labels are unlikely, by the rules of cleanlab. No label changes. The command takes the settings
    of `rampart train`.
    """
    from rampart.cli.console import console, quiet_libraries, show_progress
    from rampart.cli.overrides import config_and_overrides
    from rampart.reports.labels import example_lines, label_lines

    quiet_libraries()
    with show_progress():
        from rampart.files import require_output_folder

        require_output_folder(output)
        # Before slow imports, so that a wrong configuration is answered at once.
        config = load_for_data(*config_and_overrides(with_model(settings or [])))
        from rampart.recipes.check_labels import PAGE, TABLE
        from rampart.recipes.check_labels import check_labels as check

        checked = check(config, output, overwrite=overwrite)
    files = {"table": output / TABLE, "page": output / PAGE}
    if as_json:
        print_json({**checked.summary(), **files})
        return
    for line in (*label_lines(checked.summary()), *example_lines(checked.rows())):
        console.say(line)
    console.say(f"all of them in {files['table']}, with pictures in {files['page']}")
