"""`rampart evaluate`."""

from pathlib import Path
from shlex import quote
from typing import Any

import typer

from rampart.cli.interruption import explain_interruption
from rampart.cli.json_output import Json, print_json
from rampart.cli.overrides import ordered
from rampart.cli.subject import require_evaluable


def evaluate(
    model: str = typer.Argument(
        ...,
        help="Folder of a finished run, or any classifier: timm:NAME, torchvision:NAME:WEIGHTS, "
        "hf:REPOSITORY, a model folder, module:function, file.py:function, FILE.pt2, FILE.onnx, "
        "FILE.torchscript.",
        show_default=False,
    ),
    settings: list[str] = typer.Argument(
        None,
        metavar="[KEY=VALUE]...",
        help="Settings such as threat.eps=8/255, evaluation.attack=standard or "
        "evaluation.limit=1000. A classifier that is not a run also needs data=FOLDER.",
        show_default=False,
    ),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder for the evaluation; by default in the run's folder, or in evaluations/ for "
        "other classifiers.",
        show_default=False,
    ),
    rerun: int = typer.Option(
        None,
        "--rerun",
        min=1,
        help="Attack this many images again at each strength alone, as a check (sets "
        "evaluation.rerun).",
        show_default=False,
    ),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the evaluation in the folder."
    ),
    as_json: bool = Json,
) -> None:
    """Measure accuracy at every strength, and expected robustness.

    Run the same command again to resume an interrupted evaluation.
    """
    short = () if rerun is None else (f"evaluation.rerun={rerun}",)
    overrides = tuple(ordered([*(settings or []), *short]))
    facts = evaluate_and_print(model, overrides, output, overwrite=overwrite)
    if as_json:
        print_json(facts)


def evaluate_and_print(
    model: str | Path,
    overrides: tuple[str, ...] = (),
    output: Path | None = None,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Evaluate a run or another model; show progress, then the figures, and return them."""
    from rampart.cli.console import print_evaluation, quiet_libraries, show_progress

    without = " without --overwrite" if overwrite else ""
    advice = f"run the same command again{without} to resume"
    with explain_interruption(advice), show_progress():
        is_run = require_evaluable(str(model), overrides, output)
        from rampart.recipes.evaluation.evaluate_named import evaluate_model, evaluate_run

        quiet_libraries()
        if is_run:
            folder, record = evaluate_run(Path(model), overrides, output, overwrite=overwrite)
        else:
            folder, record = evaluate_model(str(model), overrides, output, overwrite=overwrite)
    return print_evaluation(folder, record)


def evaluate_trained(run: Path) -> dict[str, Any]:
    """Evaluate a run with its own configuration; show progress, then the figures, and return them.

    The figures have their folder under "folder".
    """
    from rampart.cli.console import print_evaluation, quiet_libraries, show_progress

    advice = f"run `rampart evaluate {quote(str(run))}` to resume"
    with explain_interruption(advice), show_progress():
        from rampart.recipes.evaluation.evaluate_named import ensure_evaluated

        quiet_libraries()
        folder, record = ensure_evaluated(run)
    return print_evaluation(folder, record)
