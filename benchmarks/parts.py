"""Measure the cost of each part around the schedule: passes, memory, trained weights, time.

    python -m benchmarks.parts [--model resnet18] [--steps 3] [--parts default,awp,...]

Each part trains the same model for one epoch on the embedded task at full strength, in its own
process. On a CPU, memory is the peak of that process; it includes Python and PyTorch, so compare
differences. On a GPU, memory is the largest amount that torch allocated.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

PARTS = {
    "default": [],
    "trades": ["objective=trades"],
    "mart": ["objective=mart"],
    "fare alone": ["objective=fare"],
    "anchored": ["objective={name: fare, base: adversarial, weight: 0.1}"],
    "linear-probe": ["strategies=linear-probe"],
    "lora": ["strategies=lora"],
    "ema": ["callbacks=ema"],
    "awp": ["callbacks=awp"],
}


def measure(settings: list[str]) -> dict[str, float]:
    """Train one epoch; return its cost."""
    import torch

    from rampart.recipes.config.loading import load_config
    from rampart.recipes.train import train_run
    from rampart.runs.history import History

    with tempfile.TemporaryDirectory() as place:
        folder = train_run(load_config(None, settings), Path(place) / "run")
        (row,) = History(folder.history).rows()
        sizes = folder.facts()["parameters"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    return {**row, "peak": peak, **sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--steps", type=int, default=3, help="steps of the attack")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--settings", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.settings:
        print(json.dumps(measure(json.loads(arguments.settings))))
        return
    base = [
        f"model.name={arguments.model}",
        "model.pretrained=false",
        "data=digit-pairs",
        "threat.eps=8/255",
        "schedule=fix",
        f"attack.steps={arguments.steps}",
        "training.epochs=1",
        "training.monitors=false",
    ]
    print("| part | passes per image | peak memory, MB | trained weights | seconds |")
    print("|:--|--:|--:|--:|--:|")
    for part in arguments.parts.split(","):
        settings = json.dumps([*base, *PARTS[part]])
        command = [sys.executable, "-m", "benchmarks.parts", "--settings", settings]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        images = found["images_per_second"] * found["seconds"]
        passes = (found["forwards"] + found["backwards"]) / images
        figures = f"{passes:.1f} | {found['peak'] / 1e6:,.0f} | {found['trained']:,}"
        print(f"| {part} | {figures} | {found['seconds']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
