"""`rampart study status`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.cli.json_output import Json, print_json
from rampart.cli.study.place import Output, Place, read
from rampart.counting import counted

if TYPE_CHECKING:
    from rampart.experiments.study_state import RunState, StudyState

#: What the next `rampart study run` does.
_NEXT = {
    "failed": " (the next `rampart study run` tries again, and sets damaged files aside)",
    "interrupted": " (the next `rampart study run` resumes)",
}


def status(
    place: Path = Place,
    output: Path | None = Output,
    as_json: bool = Json,
) -> None:
    """Show the state of each run of a study.

    A run is done, running, failed, interrupted or missing.
    """
    from rampart.cli.console import console

    _, folder, state = read(place, output)
    if as_json:
        print_json(_as_json(state))
        return
    for line in _lines(folder, state):
        console.say(line)


def _lines(folder: Path, state: "StudyState") -> list[str]:
    from rampart.experiments.study_state import STATES

    lines = [", ".join(f"{state.count(one)} {one}" for one in STATES) + f" in {folder}"]
    if state.others:
        lines.append(f"{counted(len(state.others), 'run')} of other settings, kept as they are")
    lines += ["", *_table(state)]
    for one in ("running", "failed", "interrupted"):
        found = [run for run in state.runs if run.state == one]
        if found:
            head = f"{one}{_NEXT.get(one, '')}:"
            lines += ["", head, *(f"  {run.cell.name}: {run.detail}" for run in found)]
    if state.waiting:
        lines += ["", "waiting for runs that decide them:"]
        lines += [
            f"  {task}, {choice}: {counted(count, 'run')}"
            for (task, choice), count in state.waiting.items()
        ]
    return lines


def _table(state: "StudyState") -> list[str]:
    """Lines with the number of runs that are done, by task and method."""
    runs = Counter((run.cell.task, _row(run)) for run in state.runs)
    runs.update(state.waiting)
    done = Counter((run.cell.task, _row(run)) for run in state.runs if run.state == "done")
    tasks, rows = (list(dict.fromkeys(one[k] for one in runs)) for k in (0, 1))
    wide = max(len("done of all"), *map(len, rows))
    lines = [[f"{'done of all':<{wide}}", *tasks]]
    for row in rows:
        cells = [
            f"{done[task, row]}/{runs[task, row]}" if (task, row) in runs else "-" for task in tasks
        ]
        lines.append(
            [f"{row:<{wide}}", *(f"{c:>{len(t)}}" for c, t in zip(cells, tasks, strict=True))]
        )
    if sum(len(task) + 2 for task in tasks) + wide <= 100:
        return ["  ".join(line) for line in lines]
    # Many tasks: one line each.
    return [
        f"{task}: "
        + ", ".join(
            f"{row} {done[task, row]}/{runs[task, row]}" for row in rows if (task, row) in runs
        )
        for task in tasks
    ]


def _row(run: "RunState") -> str:
    return f"{run.cell.choice}, options" if run.cell.choice else run.cell.method


def _as_json(state: "StudyState") -> dict[str, Any]:
    from rampart.experiments.study_state import STATES

    return {
        "counts": {one: state.count(one) for one in STATES},
        "runs": [_run(run) for run in state.runs],
        "waiting": [
            {"task": task, "choice": choice, "runs": count}
            for (task, choice), count in state.waiting.items()
        ],
        "other_settings": [str(path) for path in state.others],
    }


def _run(run: "RunState") -> dict[str, Any]:
    cell = run.cell
    return {
        "coordinates": cell.coordinates,
        "method": cell.method,
        "choice": cell.choice or None,
        "seed": cell.config.seed,
        "identity": cell.identity,
        "folder": str(cell.folder),
        "state": run.state,
        "detail": run.detail or None,
    }
