"""`rampart profile`."""

from pathlib import Path

import typer

from rampart.cli.interruption import explain_interruption
from rampart.cli.json_output import Json, print_json
from rampart.cli.overrides import ordered
from rampart.cli.subject import require_evaluable


def profile(
    model: str = typer.Argument(
        ...,
        help="Folder of a finished run, or any classifier, as for `rampart evaluate`.",
        show_default=False,
    ),
    settings: list[str] = typer.Argument(
        None,
        metavar="[KEY=VALUE]...",
        help="Settings such as evaluation.limit=200 or evaluation.attack=short. A classifier that "
        "is not a run also needs data=FOLDER.",
        show_default=False,
    ),
    threats: str = typer.Option(
        "linf,l2,l1",
        "--threats",
        help="Threats, separated by commas: linf, l2, l1, corruptions, or single ones such as fog. "
        "A norm may state its largest strength, such as linf=8/255; by default twice the "
        "strength that is usual for the size of the images.",
    ),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder for the profile; by default in the run's folder, or in profiles/ for other "
        "classifiers.",
        show_default=False,
    ),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the evaluations in the folder."
    ),
    as_json: bool = Json,
) -> None:
    """Measure robustness under several threats, side by side.

    Run the same command again to resume an interrupted profile; finished threats are kept.
    """
    from rampart.cli.console import console, quiet_libraries, show_progress

    overrides = tuple(ordered(settings or []))
    without = " without --overwrite" if overwrite else ""
    advice = f"run the same command again{without} to resume"
    with explain_interruption(advice), show_progress():
        from rampart.recipes.evaluation.settings import of_profile
        from rampart.recipes.evaluation.threats import parse_threats

        wanted = parse_threats(threats)
        is_run = require_evaluable(model, of_profile(overrides), output)
        from rampart.recipes.evaluation.profile import profile_model, profile_run

        quiet_libraries()
        if is_run:
            folder, found = profile_run(Path(model), overrides, wanted, output, overwrite=overwrite)
        else:
            folder, found = profile_model(model, overrides, wanted, output, overwrite=overwrite)
    from rampart.reports.profile import profile_facts, profile_lines

    facts = profile_facts(found)
    for line in profile_lines(facts):
        console.say(line)
    console.say(f"profile in {folder}")
    if as_json:
        print_json({"folder": folder, **facts})
