"""`rampart study plan`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rampart.cli.json_output import Json, print_json
from rampart.counting import counted, in_millions, spell_hours

if TYPE_CHECKING:
    from rampart.experiments.planning.plan import PlannedRun


def plan(
    file: Path = typer.Argument(..., help="YAML file of the study.", show_default=False),
    calibration: bool = typer.Option(
        True,
        "--calibration/--no-calibration",
        help="Measure seconds for each model on this machine, to estimate hours.",
    ),
    as_json: bool = Json,
) -> None:
    """Show the runs of a study, their passes and their hours.

    Passes of training include validation. Hours are those of this machine, one run after another.
    Nothing is trained or downloaded. Numbers of images come from the catalogue or from data on this
    machine. The evaluation is counted for images that withstand its attack, an adaptive schedule
    with a pilot that fails, so the hours are an upper estimate. The start of a run, reading the
    images, monitors, and an attack that gets more steps after an alert are not counted.
    """
    from rampart.cli.console import console, quiet_libraries

    with console.busy("planning"):
        from rampart.experiments.loading import load_study

        quiet_libraries()
        # The copy in the folder of a study has what its searches found beside it.
        study = load_study(file, file.parent)
        # After the study, so that a wrong file is answered at once.
        from rampart.experiments.planning.calibration import seconds_per_pass
        from rampart.experiments.planning.plan import plan_study

        runs = plan_study(study, seconds_per_pass if calibration else None)
    if as_json:
        print_json(runs)
        return
    for line in _lines(runs):
        console.say(line)


def _lines(runs: Sequence["PlannedRun"]) -> list[str]:
    axes = [*runs[0].coordinates, "method"]
    lines = [f"{counted(len(runs), 'run')}: {_cost(runs)}"]
    for axis in axes:
        values = Counter(_value(run, axis) for run in runs)
        lines += ["", f"{axis}:"]
        wide = max(map(len, values))
        lines += [
            f"  {value:<{wide}}  {counted(count, 'run')}: "
            + _cost([run for run in runs if _value(run, axis) == value])
            for value, count in values.items()
        ]
    unknown, known = (
        [run for run in runs if (run.training is None) == one] for one in (True, False)
    )
    lines += _notes("not counted:", unknown)
    lines += _notes("hours in fp32, because this machine cannot carry out the runs:", known)
    return lines


def _notes(head: str, runs: Sequence["PlannedRun"]) -> list[str]:
    """Lines with every note of these runs and their number."""
    notes = Counter(run.note for run in runs if run.note)
    lines = [f"  {counted(count, 'run')}: {note}" for note, count in notes.items()]
    return ["", head, *lines] if lines else []


def _value(run: "PlannedRun", axis: str) -> str:
    if axis != "method":
        return run.coordinates[axis]
    return f"{run.choice}, options" if run.choice else run.method


def _cost(runs: Sequence["PlannedRun"]) -> str:
    if all(run.training is None for run in runs):
        return "not counted"
    training = sum(run.training or 0 for run in runs)
    evaluation = sum(run.evaluation or 0 for run in runs)
    text = f"{in_millions(training)} passes of training, {in_millions(evaluation)} of evaluation"
    hours = [run.hours for run in runs if run.hours is not None]
    return f"{text}, {spell_hours(sum(hours))}" if hours else text
