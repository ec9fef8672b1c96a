"""Console output of the verbs."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.counting import counted
from rampart.progress.display import display_on
from rampart.progress.work import showing
from rampart.terminal import Terminal

if TYPE_CHECKING:
    from rampart.data.splits import Splits
    from rampart.recipes.config.run_config import RunConfig
    from rampart.records.record import EvaluationRecord
    from rampart.training.state import Run

console = Terminal()
#: For progress beside results that are printed.
errors = Terminal(stderr=True)


def quiet_libraries() -> None:
    """Log only the errors of timm and accelerate; Python warnings still show."""
    import logging

    for name in ("timm", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


def show_progress(on: Terminal = console) -> AbstractContextManager[None]:
    """Show how far the work of a block is: as bars on a terminal, and else as lines now and then.

    Args:
        on: where; another place than that of printed results.
    """
    return showing(display_on(on))


def print_plan(config: "RunConfig", run: "Run", splits: "Splits") -> None:
    """Print the model, the data and the settings of a run, and notes about them."""
    horizon, parameters = run.plan.horizon, sum(p.numel() for p in run.bare_model.parameters())
    sizes = ", ".join(f"{len(splits[name])} {name}" for name in ("train", "validation", "test"))
    console.say(f"{config.model.name}: {parameters / 1e6:.3g} M parameters")
    channels, size, _ = splits.image_shape
    console.say(
        f"{config.data.name}: {counted(len(splits.class_names), 'class')}; {sizes}; {channels} x "
        f"{size} x {size} pixels"
    )
    epochs = counted(horizon.epochs, "epoch")
    console.say(
        f"objective {config.objective.name}, schedule {config.schedule.name}, "
        f"{config.threat_model}, {epochs} of {counted(horizon.steps_per_epoch, 'step')}, "
        f"on {run.accelerator.device}"
    )
    if run.step:
        console.say(f"resuming after step {run.step}")
    for note in (*splits.notes, *run.schedule.warnings(), *_explain_no_attack(config)):
        console.say(f"note: {note}")
    for warning in splits.warnings:
        console.say(f"warning: {warning}")


def _explain_no_attack(config: "RunConfig") -> list[str]:
    """Note that the schedule has no effect in a run without an attack."""
    if config.attacks or config.schedule.name == "standard":
        return []
    why = "threat.eps is 0" if config.threat.eps == 0 else f"objective={config.objective.name}"
    return [f"training uses no attack ({why}), so the schedule has no effect"]


def _explain_position(classes: Sequence[str]) -> str:
    """State the order in which outputs without names are taken as the classes of the data."""
    last = len(classes) - 1
    shown = [k for k in range(len(classes)) if len(classes) <= 12 or k < 5 or k == last]
    parts = [f"{k} = {classes[k]}" for k in shown]
    if len(shown) < len(classes):
        parts.insert(-1, "...")
    return f"outputs are matched to classes by position: {', '.join(parts)}"


def print_evaluation(folder: Path, record: "EvaluationRecord") -> dict[str, Any]:
    """Print the figures of an evaluation, its verdicts and its folder; return all of them."""
    from rampart.records.summary import summary
    from rampart.reports.headline import spell_expected, spell_images
    from rampart.reports.statements import evaluation_lines
    from rampart.units import format_eps

    figures = summary(record)
    console.say(
        f"{figures['split']}, {spell_images(figures)}: clean {figures['clean']:.1%}, "
        f"at {format_eps(figures['eps'])} {figures['adversarial']:.1%}, "
        f"{spell_expected(figures)}"
    )
    model = record.metadata.get("model", {})
    if model.get("matched_by") == "position":
        console.say(_explain_position(model["classes"]))
    for note in record.metadata.get("data", {}).get("notes", ()):
        console.say(f"data: {note}")
    for warning in record.metadata.get("data", {}).get("warnings", ()):
        console.say(f"warning: {warning}")
    for line in evaluation_lines({**figures, "pruning": record.metadata.get("pruning")}):
        console.say(line)
    console.say(f"evaluation in {folder}")
    return {"folder": folder, **figures}
