"""Console output of the verbs."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from rampart.counting import counted
from rampart.training.reporting import sparse_progress

if TYPE_CHECKING:
    from rampart.data.splits import Splits
    from rampart.recipes.config.run_config import RunConfig
    from rampart.records.record import EvaluationRecord
    from rampart.training.state import Run

# Under `accelerate launch` every process runs the verb; only the first one prints. Names of folders
# and classes may look like markup: rich would swallow "[new]".
console = Console(quiet=os.environ.get("RANK", "0") != "0", highlight=False, markup=False)


def quiet_libraries() -> None:
    """Log only the errors of timm and accelerate; Python warnings still show."""
    import logging

    for name in ("timm", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that shows progress while the block runs.

    It draws a bar on a terminal, and otherwise prints a line now and then.
    """
    if not console.is_terminal:
        yield sparse_progress(lambda text: console.print(f"{label}: {text}", soft_wrap=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_plan(config: "RunConfig", run: "Run", splits: "Splits") -> None:
    """Print the model, the data and the settings of a run, and notes about them."""
    horizon, parameters = run.plan.horizon, sum(p.numel() for p in run.bare_model.parameters())
    sizes = ", ".join(f"{len(splits[name])} {name}" for name in ("train", "validation", "test"))
    console.print(f"{config.model.name}: {parameters / 1e6:.3g} M parameters", soft_wrap=True)
    channels, size, _ = splits.image_shape
    console.print(
        f"{config.data.name}: {counted(len(splits.class_names), 'class')}; {sizes}; {channels} x "
        f"{size} x {size} pixels",
        soft_wrap=True,
    )
    epochs = counted(horizon.epochs, "epoch")
    console.print(
        f"objective {config.objective.name}, schedule {config.schedule.name}, "
        f"{config.threat_model}, {epochs} of {counted(horizon.steps_per_epoch, 'step')}, "
        f"on {run.accelerator.device}",
        soft_wrap=True,
    )
    if run.step:
        console.print(f"resuming after step {run.step}")
    for note in (*splits.notes, *run.schedule.warnings(), *_explain_no_attack(config)):
        console.print(f"note: {note}", soft_wrap=True)
    for warning in splits.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)


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


def print_evaluation(folder: Path, record: "EvaluationRecord") -> None:
    """Print the figures of an evaluation, the verdicts of its checks, and its folder."""
    from rampart.records.summary import summary
    from rampart.reports.headline import spell_expected, spell_images
    from rampart.reports.statements import evaluation_lines
    from rampart.units import format_eps

    figures = summary(record)
    console.print(
        f"{figures['split']}, {spell_images(figures)}: clean {figures['clean']:.1%}, "
        f"at {format_eps(figures['eps'])} {figures['adversarial']:.1%}, "
        f"{spell_expected(figures)}",
        soft_wrap=True,
    )
    model = record.metadata.get("model", {})
    if model.get("matched_by") == "position":
        console.print(_explain_position(model["classes"]), soft_wrap=True)
    for note in record.metadata.get("data", {}).get("notes", ()):
        console.print(f"data: {note}", soft_wrap=True)
    for warning in record.metadata.get("data", {}).get("warnings", ()):
        console.print(f"warning: {warning}", soft_wrap=True)
    for line in evaluation_lines({**figures, "pruning": record.metadata.get("pruning")}):
        console.print(line, soft_wrap=True)
    console.print(f"evaluation in {folder}", soft_wrap=True)
