"""`rampart refine`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rampart.cli.interruption import explain_interruption
from rampart.cli.json_output import Json, print_json
from rampart.cli.subject import require_finished
from rampart.recipes.refining.settings import Refinement

if TYPE_CHECKING:
    from rampart.evaluation.criticality import Criticality
    from rampart.recipes.choosing import Between
    from rampart.recipes.refining.refine import Listener
    from rampart.recipes.refining.several import Task


def _setting(name: str, text: str) -> Any:
    """Return the option of a setting; without it the run keeps its own, or takes the default."""
    default = getattr(Refinement(), name)
    shown = f"{default:g}" if isinstance(default, float) else default
    return typer.Option(None, help=f"{text}; by default {shown}.", show_default=False)


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
    images: int = _setting("images", "Validation images for the criticality"),
    steps: int = _setting("steps", "Steps of the ascent for each layer"),
    radius: float = _setting("radius", "Largest change of a layer, of its norm"),
    epochs: int = _setting("epochs", "Epochs of the fine-tuning"),
    lr: float = _setting("lr", "Learning rate of SGD"),
    momentum: float = _setting("momentum", "Momentum of SGD"),
    weight_decay: float = _setting("weight_decay", "Weight decay of SGD"),
    choose: str = _setting(
        "choose",
        "`clean` for the most clean accuracy at a loss of less than 0.1 point of adversarial "
        "accuracy, or `expected` for the most expected robustness",
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Continue what was interrupted, with its settings."
    ),
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
    # A wrong value is refused before slow imports.
    Refinement(**wanted)
    quiet_libraries()
    with console.busy("checking"):
        from rampart.files import require_output_folder
        from rampart.recipes.refining.places import places_of

        places = places_of(runs, output)
        require_finished(*runs)
        for _, place in places:
            require_output_folder(place)
        from rampart.recipes.refining.several import plan_refinements

        tasks = plan_refinements(places, wanted, resume=resume, overwrite=overwrite)
    facts = []
    for task in tasks:
        if len(tasks) > 1:
            console.say(f"{task.run} -> {task.output}")
        facts.append(_refine_one(task, overwrite, evaluate))
    if as_json:
        print_json({"runs": facts})


def _refine_one(task: "Task", overwrite: bool, evaluate: bool) -> dict[str, Any]:
    """Refine a run; print its steps, and return what they found."""
    from rampart.cli.console import console, show_progress
    from rampart.cli.evaluate import evaluate_trained
    from rampart.recipes.config.loading import load_config
    from rampart.recipes.refining.refine import refine_run
    from rampart.runs.run_folder import RunFolder
    from rampart.training.reporting import ConsoleReporter

    folder = RunFolder(task.output)
    before = folder.facts()

    def advice() -> str:
        if folder.facts() == before:
            return "nothing is changed, run the same command again"
        # It was stopped before its settings were written.
        if not folder.exists():
            return "run the same command again"
        return f"{folder.how_to_resume()} to resume"

    with explain_interruption(advice), show_progress():
        _, best = refine_run(
            task.run,
            task.output,
            task.settings,
            resume=task.resume,
            overwrite=overwrite,
            reporter=ConsoleReporter(console),
            listener=_listener(),
        )
    layer, threat = folder.facts()["refinement"]["layer"], load_config(folder).threat_model
    text = f"best at {threat}: {best.fraction:.0%} of the change of {layer}"
    console.say(f"{text}; model in {folder.model}, pictures in {folder.refinement}")
    evaluation = evaluate_trained(task.output) if evaluate else None
    return {
        "run": task.run,
        "refined": task.output,
        "layer": layer,
        "fraction": best.fraction,
        "validation": asdict(best),
        "evaluation": evaluation,
    }


def _listener() -> "Listener":
    """Return what prints the criticality of the layers, and the models between."""
    from rampart.cli.console import console
    from rampart.recipes.choosing import FRACTIONS
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
