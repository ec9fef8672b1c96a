"""`rampart refine`."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rampart.cli.interruption import explain_interruption
from rampart.cli.json_output import Json, print_json

if TYPE_CHECKING:
    from rampart.evaluation.criticality import Criticality
    from rampart.recipes.between import Between
    from rampart.recipes.refining.refine import Listener
    from rampart.recipes.refining.settings import Refinement


def refine(
    runs: list[Path] = typer.Argument(
        ..., help="Folder of a finished run, or of several.", show_default=False
    ),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder for the new run, or for one folder for each of several runs; by default "
        "RUN-refined.",
        show_default=False,
    ),
    images: int = typer.Option(
        None, help="Validation images for the criticality; 500.", show_default=False
    ),
    steps: int = typer.Option(
        None, help="Steps of the ascent for each layer; 10.", show_default=False
    ),
    radius: float = typer.Option(
        None, help="Largest change of a layer, of its norm; 0.1.", show_default=False
    ),
    epochs: int = typer.Option(None, help="Epochs of the fine-tuning; 10.", show_default=False),
    lr: float = typer.Option(None, help="Learning rate of SGD; 0.001.", show_default=False),
    momentum: float = typer.Option(None, help="Of SGD; 0.9.", show_default=False),
    weight_decay: float = typer.Option(None, help="Of SGD; 0.0005.", show_default=False),
    choose: str = typer.Option(
        None,
        help="`clean` (default): the most clean accuracy at a loss of less than 0.1 point of "
        "adversarial accuracy; `expected`: the most expected robustness.",
        show_default=False,
    ),
    resume: bool = typer.Option(False, "--resume", help="Continue what was interrupted."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the run in the folder and its evaluations."
    ),
    evaluate: bool = typer.Option(True, help="Evaluate the refined model on the test split."),
    as_json: bool = Json,
) -> None:
    """Gain clean accuracy after adversarial training (RiFT).

    Fine-tune the layer that matters least to robustness on clean images, and mix it with the layer
    before. The validation split chooses the layer and the mixture.
    """
    from rampart.cli.console import console, quiet_libraries

    places = _places(runs, output)
    given: dict[str, Any] = {
        "images": images,
        "steps": steps,
        "radius": radius,
        "epochs": epochs,
        "lr": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "choose": choose,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    with console.busy("loading"):
        from rampart.recipes.refining.settings import Refinement

    settings = Refinement(**wanted) if wanted else None
    quiet_libraries()
    facts = []
    for run, place in places:
        if len(places) > 1:
            console.say(f"{run} -> {place}")
        again = resume and (len(places) == 1 or place.exists())
        facts.append(_refine_one(run, place, settings, again, overwrite, evaluate))
    if as_json:
        print_json({"runs": facts})


def _places(runs: Sequence[Path], output: Path | None) -> list[tuple[Path, Path]]:
    """Return each run with the folder of its refinement."""
    from rampart.errors import RunError

    if len(runs) == 1:
        (run,) = runs
        return [(run, output or run.with_name(f"{run.resolve().name}-refined"))]
    if output is None:
        return [(run, run.with_name(f"{run.resolve().name}-refined")) for run in runs]
    common = Path(os.path.commonpath([run.resolve().parent for run in runs]))
    names = ["-".join(run.resolve().relative_to(common).parts) for run in runs]
    if len(set(names)) < len(runs):
        raise RunError("two of the runs are one folder: name each run once.")
    return [(run, output / name) for run, name in zip(runs, names, strict=True)]


def _refine_one(
    run: Path,
    output: Path,
    settings: "Refinement | None",
    resume: bool,
    overwrite: bool,
    evaluate: bool,
) -> dict[str, Any]:
    """Refine a run; print its steps, and return what they found."""
    from rampart.cli.console import console, show_progress
    from rampart.cli.evaluate import evaluate_trained
    from rampart.recipes.config.loading import load_config
    from rampart.recipes.refining.refine import refine_run
    from rampart.runs.run_folder import RunFolder
    from rampart.training.reporting import ConsoleReporter

    folder = RunFolder(output)
    before = folder.facts()

    def advice() -> str:
        # Until the folder is begun nothing has changed.
        if folder.facts() == before:
            return "nothing is changed, run the same command again"
        return f"{folder.how_to_resume()} to resume"

    with explain_interruption(advice), show_progress():
        _, best = refine_run(
            run,
            output,
            settings,
            resume=resume,
            overwrite=overwrite,
            reporter=ConsoleReporter(console),
            listener=_listener(),
        )
    layer, threat = folder.facts()["refinement"]["layer"], load_config(folder).threat_model
    text = f"best at {threat}: {best.fraction:.0%} of the change of {layer}"
    console.say(f"{text}; model in {folder.model}, pictures in {folder.refinement}")
    evaluation = evaluate_trained(output) if evaluate else None
    return {
        "run": run,
        "refined": output,
        "layer": layer,
        "fraction": best.fraction,
        "validation": asdict(best),
        "evaluation": evaluation,
    }


def _listener() -> "Listener":
    """Return what prints the criticality of the layers, and the models between."""
    from rampart.cli.console import console
    from rampart.recipes.between import FRACTIONS
    from rampart.recipes.refining.refine import Listener

    def show_criticality(found: list["Criticality"]) -> None:
        console.say("criticality   accuracy lost   layer   (fixed adversarial examples)")
        for one in sorted(found, key=lambda one: one.increase):
            console.say(f"{one.increase:11.4f} {one.accuracy_drop:15.1%}   {one.module}")

    def show_found(found: "Between") -> None:
        if found.fraction == FRACTIONS[0]:
            console.say("of change    clean   at eps_g   expected   (validation split)")
        figures = f"{found.clean:7.1%} {found.adversarial:10.1%} {found.expected:10.1%}"
        console.say(f"{found.fraction:9.0%} {figures}")

    return Listener(show_criticality, show_found)
