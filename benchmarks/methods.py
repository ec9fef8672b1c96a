"""CPU time of training by each method of a study, one after another.

    python -m benchmarks.methods configs/studies/compute.yaml OUTPUT [--task "pairs at 20/255"]
                                                              [--rounds 2]

Every method trains the first seed of the study in this process with one thread, without the
evaluation; a first run does not count. Time is that of the processor, so waiting does not count,
but other work on the machine still slows caches and memory.
OUTPUT gets a line for each run, so that a later command goes on. The table has means over the
rounds, and ratios to the first method of the study; `passes` are all of a run.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.results import Rows
from rampart.experiments.grid import Task
from rampart.experiments.loading import load_study
from rampart.experiments.study import Study
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runs.passes import Passes


def measured(study: Study, task: Task, method: str) -> dict[str, float]:
    """Train one run; return its CPU seconds and its passes."""
    config = study.config(task, method, study.seeds[0])
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.process_time()
        run = train_run(config, Path(scratch, "run"))
        seconds = time.process_time() - begin
        passes = Passes.of(History(run.history).rows(), run.facts())
        return {"cpu_seconds": seconds, "passes": passes.total}


def table(rows: list[dict[str, Any]]) -> str:
    """Return means over the rounds."""
    lines = [
        "| method | CPU seconds | of the first | passes | of the first | ms a pass |",
        "| :-- | --: | --: | --: | --: | --: |",
    ]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    means = {
        method: [
            sum(row[key] for row in rows if row["method"] == method)
            / sum(row["method"] == method for row in rows)
            for key in ("cpu_seconds", "passes")
        ]
        for method in methods
    }
    first = means[methods[0]]
    for method, (seconds, passes) in means.items():
        lines.append(
            f"| {method} | {seconds:.1f} | {seconds / first[0]:.2f} | {passes / 1000:.0f} k | "
            f"{passes / first[1]:.2f} | {1000 * seconds / passes:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--task")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    study = load_study(args.study)
    tasks = {one.name: one for one in study.tasks}
    name = args.task or next(iter(tasks))
    if name not in tasks:
        parser.error(f"--task: expected one of {', '.join(tasks)}, got {name}")
    rows = Rows(args.output / "methods.jsonl")
    here = {"study": args.study.stem, "task": name}
    own = [row for row in rows.read() if here.items() <= row.items()]
    done = {(row["method"], row["round"]) for row in own}
    seed = study.seeds[0]
    methods = [one for one in study.methods if not study.excludes(tasks[name], one, seed)]
    left = [(one, number) for number in range(args.rounds) for one in methods]
    left = [one for one in left if one not in done]
    if left:
        measured(study, tasks[name], methods[0])
    for method, number in left:
        row = {**here, "method": method, "round": number}
        row |= measured(study, tasks[name], method)
        rows.add(row)
        own.append(row)
    print(table(own))


if __name__ == "__main__":
    main()
