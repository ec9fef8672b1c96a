"""`rampart evaluate`."""

from pathlib import Path

import typer


def evaluate(
    model: str = typer.Argument(
        ...,
        help="Folder of a finished run; or any classifier: timm:NAME, torchvision:NAME:WEIGHTS, "
        "hf:REPOSITORY, a model folder, module:function, file.py:function, FILE.pt2, FILE.onnx.",
        show_default=False,
    ),
    settings: list[str] = typer.Argument(
        None,
        metavar="[KEY=VALUE]...",
        help="Settings such as threat.eps=8/255, evaluation.attack=standard, evaluation.limit=1000 "
        "or evaluation.rerun=50; data=FOLDER for a model that is no run.",
        show_default=False,
    ),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder for the evaluation; a run's own by default, or one below evaluations/.",
        show_default=False,
    ),
    rerun: int = typer.Option(
        None,
        "--rerun",
        min=1,
        help="Attack this many images at each strength alone as well; evaluation.rerun in short.",
        show_default=False,
    ),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace an earlier evaluation with the same settings."
    ),
) -> None:
    """Measure accuracy at every strength up to eps, and expected robustness.

    An evaluation that was interrupted goes on where it was when the command is given again.
    """
    reran = () if rerun is None else (f"evaluation.rerun={rerun}",)
    evaluate_and_print(model, (*(settings or []), *reran), output, overwrite=overwrite)


def evaluate_and_print(
    model: str | Path,
    overrides: tuple[str, ...] = (),
    output: Path | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Evaluate a run or another model, show progress meanwhile and the figures at the end."""
    from rampart.cli.console import counting, print_evaluation, quiet, stopped_by_hand
    from rampart.runs.run_folder import RunFolder

    with stopped_by_hand(), counting("evaluating") as on_progress:
        from rampart.recipes.evaluation.evaluate import evaluate_model, evaluate_run

        quiet()
        if RunFolder(Path(model)).exists() or _is_meant_as_run(str(model), overrides):
            folder, record = evaluate_run(
                Path(model), overrides, output, overwrite=overwrite, on_progress=on_progress
            )
        else:
            folder, record = evaluate_model(
                str(model), overrides, output, overwrite=overwrite, on_progress=on_progress
            )
    print_evaluation(folder, record)


def evaluate_trained(run: Path) -> None:
    """Evaluate a run as its own configuration says, and print the figures at the end."""
    from rampart.cli.console import counting, print_evaluation, quiet, stopped_by_hand

    advice = f"`rampart evaluate {run}` goes on from there"
    with stopped_by_hand(advice), counting("evaluating") as on_progress:
        from rampart.recipes.evaluation.evaluate import ensure_evaluated

        quiet()
        folder, record = ensure_evaluated(run, on_progress=on_progress)
    print_evaluation(folder, record)


def _is_meant_as_run(model: str, overrides: tuple[str, ...]) -> bool:
    """A folder without a model, or a path to nothing where no data are named for another model.

    A run's own error then says what is wrong.
    """
    path = Path(model)
    if path.is_dir():
        return not (path / "config.json").exists()
    named = any(override.startswith("data") for override in overrides)
    return not path.exists() and not named and len(path.parts) > 1 and ":" not in model
