"""Compare the engine with attacks at single strengths: accuracy, disagreements and cost.

    python -m benchmarks.curve NETWORK [--images 200] [--eps 40/255] [--strengths 8]
        [--attack standard] [--parts one,fast,exact,torchattacks] [--output benchmarks/results]

NETWORK is `resnet20`, `groupnorm` or `transformer` (`benchmarks/networks.py`; trained on the first
call), or the folder of a run of `rampart train`. Every part is measured on the same images, with a
wrapper around the model that counts all rows, forward and backward, also those that only fill a
batch. Seconds are those of the processor, so other work on the machine counts little. A part is
written to OUTPUT when it is finished and not measured again. The table at the end
is made from the files in OUTPUT.

each   the attack at each strength alone, from the clean image, with separate code
exact  the engine without pruning
fast   the engine with pruning, its recheck and, if needed, the escalation
one    the attack at the last strength alone; `each` includes it
again  `each` with another seed: the noise of the comparison
draws  `each` and `fast` with ten seeds: does the mean difference exceed the noise?
torchattacks  the four attacks of another library with AutoAttack's settings at the strengths of
       `--compared` (by default the middle and the last one), each on the images that the earlier
       ones left robust; for `short` and `standard` under Linf
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.calibration import load
from benchmarks.counted import Counted
from benchmarks.networks import NETWORKS, trained
from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.frozen import frozen
from rampart.choices import EvaluationMode
from rampart.data.batches import ordered_batches
from rampart.data.splits import Split
from rampart.data.subset import subset
from rampart.evaluation.whole import evaluate_split
from rampart.runtime import Noise
from rampart.units import format_eps, parse_eps

#: The part with the cost of one attack, first the one that is compared.
ONE_RUN = ("torchattacks", "one", "each")


def at_each(
    model: nn.Module, split: Split, attack: Attack, grid: list[float], seed: int
) -> dict[str, Any]:
    """Attack every image at every strength above 0 alone."""
    runs = []
    (batch,) = ordered_batches(split, len(split))
    images, labels = batch.pixels(), batch.labels
    for grid_index, eps in enumerate(grid[1:], start=1):
        counted, start = Counted(model), time.process_time()
        with frozen(model):
            right = counted(images).argmax(1) == labels
            noise = Noise.of(seed, batch.indices, "each", grid_index)
            points = attack(counted, images, labels, eps, noise)
            right &= counted(points).argmax(1) == labels
        runs.append({"eps": eps, "robust": right.tolist(), **_cost(counted, start)})
    return {"runs": runs}


def torchattacks_at_each(
    model: nn.Module, split: Split, attack_suite: str, grid: list[float], seed: int
) -> dict[str, Any]:
    """Attack every image at these strengths with the attacks of AutoAttack in torchattacks."""
    import torchattacks

    (batch,) = ordered_batches(split, len(split))
    images, labels = batch.pixels(), batch.labels
    classes = {"n_classes": len(split.class_names)}
    runs = []
    for eps in grid[1:]:
        counted, start = Counted(model), time.process_time()
        settings: dict[str, Any] = {"eps": eps, "seed": seed}
        attacks = [
            torchattacks.APGD(counted, steps=100, loss="ce", **settings),
            torchattacks.APGDT(counted, steps=100, **classes, **settings),
        ]
        if attack_suite == "standard":
            attacks += [
                torchattacks.FAB(counted, steps=100, multi_targeted=True, **classes, **settings),
                torchattacks.Square(counted, n_queries=5000, resc_schedule=False, **settings),
            ]
        with frozen(model), torch.random.fork_rng():
            right = counted(images).argmax(1) == labels
            for attack in attacks:
                rows = right.nonzero()[:, 0]
                if len(rows):
                    points = attack(images[rows], labels[rows])
                    inside = (points - images[rows]).abs().flatten(1).amax(1) <= eps * (1 + 1e-5)
                    right[rows] = (model(points).argmax(1) == labels[rows]) | ~inside
        runs.append({"eps": eps, "robust": right.tolist(), **_cost(counted, start)})
    return {"runs": runs}


def engine(
    model: nn.Module, split: Split, attack: Attack, grid: list[float], seed: int, fast: bool
) -> dict[str, Any]:
    """Find the critical strengths, with all that the mode does."""
    counted, start = Counted(model), time.process_time()
    mode: EvaluationMode = "fast" if fast else "exact"
    done = evaluate_split(counted, split, attack, grid, seed, mode=mode)
    results = done.results
    return {
        "critical": results.critical.tolist(),
        "worked": results.forwards_total + results.backwards_total,
        "stages": {str(k): int((results.stage == k).sum()) for k in np.unique(results.stage)},
        "pruning": done.pruning and done.pruning.figures(),
        **_cost(counted, start),
    }


def draws(
    model: nn.Module, split: Split, attack: Attack, grid: list[float], count: int
) -> dict[str, Any]:
    """Compare accuracies, engine minus each alone, over several seeds of the noise."""
    alone, ours = [], []
    for seed in range(count):
        each = at_each(model, split, attack, grid, 100 + seed)
        fast = engine(model, split, attack, grid, 200 + seed, fast=True)
        alone.append([np.mean(run["robust"]) for run in each["runs"]])
        ours.append([np.mean(np.array(fast["critical"]) > k) for k in range(1, len(grid))])
    differences = np.array(ours) - np.array(alone)
    return {
        "alone": np.mean(alone, axis=0).tolist(),
        "difference": differences.mean(0).tolist(),
        "standard_error": (differences.std(0, ddof=1) / np.sqrt(count)).tolist(),
    }


def _cost(counted: Counted, start: float) -> dict[str, Any]:
    return {**counted.figures(), "seconds": time.process_time() - start}


def table(results: Mapping[str, Any], grid: list[float]) -> str:
    """Return the measurements as Markdown."""
    lines = [*_accuracies(results, grid), "", *_costs(results, grid)]
    if drawn := results.get("draws"):
        lines += ["", "| strength | each alone, mean | fast minus that | standard error |"]
        lines += ["|---|---|---|---|"]
        columns = (grid[1:], drawn["alone"], drawn["difference"], drawn["standard_error"])
        for eps, alone, difference, error in zip(*columns, strict=True):
            figures = f"{alone:.2%} | {difference:+.2%} | {error:.2%}"
            lines.append(f"| {format_eps(eps)} | {figures} |")
    return "\n".join(lines)


def _accuracies(results: Mapping[str, Any], grid: list[float]) -> list[str]:
    """Return the accuracy of every part, and the images on which two parts disagree."""
    lines = ["| strength | " + " | ".join(results) + " | disagreements |"]
    lines.append("|---" * (len(results) + 2) + "|")
    for grid_index, eps in enumerate(grid[1:], start=1):
        robust = {name: _robust(part, grid_index, eps) for name, part in results.items()}
        cells = ["-" if one is None else f"{one.mean():.1%}" for one in robust.values()]
        lines.append(f"| {format_eps(eps)} | {' | '.join(cells)} | {_disagreements(robust)} |")
    return lines


def _robust(part: Mapping[str, Any], grid_index: int, eps: float) -> Any:
    """Return (N,) bool, whether each image is robust at a strength; None if not measured."""
    if "critical" in part:
        return np.array(part["critical"]) > grid_index
    for run in part.get("runs", ()):
        if run["eps"] == eps:
            return np.array(run["robust"])
    return None


def _disagreements(robust: Mapping[str, Any]) -> str:
    """Count the images that one part breaks and the other does not, both ways."""
    found = []
    for ours in ("exact", "fast"):
        for other in ("torchattacks", "each", "exact"):
            a, b = robust.get(ours), robust.get(other)
            if ours != other and a is not None and b is not None:
                only, missed = int((~a & b).sum()), int((a & ~b).sum())
                found.append(f"{ours} against {other}: {only} only it, {missed} only the other")
    return "; ".join(found) or "-"


def _costs(results: Mapping[str, Any], grid: list[float]) -> list[str]:
    lines = ["| part | rows | calls | seconds | rows of one run | seconds of one run | notes |"]
    lines.append("|---|---|---|---|---|---|---|")
    one = _one_run(results, grid[-1])
    for name, part in results.items():
        runs = part.get("runs", [part])
        if "rows" not in runs[0]:
            continue
        rows, calls, seconds = (
            sum(run[key] for run in runs) for key in ("rows", "calls", "seconds")
        )
        ratios = (
            [f"{rows / one['rows']:.2f}", f"{seconds / one['seconds']:.2f}"] if one else ["-"] * 2
        )
        notes = json.dumps(part["pruning"]) if part.get("pruning") else f"{len(runs)} strength(s)"
        lines.append(
            f"| {name} | {rows:,} | {calls:,} | {seconds:.0f} | {' | '.join(ratios)} | {notes} |"
        )
    return lines


def _one_run(results: Mapping[str, Any], eps: float) -> Any:
    """Return the cost of one attack at the last strength."""
    runs = [run for name in ONE_RUN for run in results.get(name, {}).get("runs", ())]
    return next((run for run in runs if run["eps"] == eps), None)


def _network(name: str, output: Path) -> tuple[nn.Module, Split]:
    if name in NETWORKS:
        return trained(name, output / "networks")
    model, splits = load(Path(name))
    assert isinstance(model, nn.Module)
    return model, splits.test


def main() -> None:
    """Measure the missing parts, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--eps", default="40/255")
    parser.add_argument("--strengths", type=int, default=8)
    parser.add_argument("--attack", default="standard")
    parser.add_argument("--options", default="{}", type=json.loads)
    parser.add_argument("--parts", default="one,fast,exact,torchattacks")
    parser.add_argument("--compared", help="numbers of the strengths, such as 1,4,8")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, test = _network(args.network, args.output)
    split = subset(test, limit=args.images, seed=0)
    strict = {"iterate": "adversarial"} if ATTACKS.takes(args.attack, "iterate") else {}
    attack = ATTACKS.build(args.attack, {**strict, **args.options})
    eps = parse_eps(args.eps)
    grid = [eps * grid_index / args.strengths for grid_index in range(args.strengths + 1)]
    chosen = args.compared or f"{-(-args.strengths // 2)},{args.strengths}"
    some = [0.0, *(grid[int(number)] for number in chosen.split(","))]
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "each": lambda: at_each(model, split, attack, grid, 10),
        "one": lambda: at_each(model, split, attack, [0.0, grid[-1]], 10),
        "again": lambda: at_each(model, split, attack, grid, 11),
        "exact": lambda: engine(model, split, attack, grid, 0, fast=False),
        "fast": lambda: engine(model, split, attack, grid, 0, fast=True),
        "draws": lambda: draws(model, split, attack, grid, 10),
        "torchattacks": lambda: torchattacks_at_each(model, split, args.attack, some, 12),
    }
    name = (
        f"{Path(args.network).name}-{args.attack}-{format_eps(eps).replace('/', '_')}-{len(split)}"
    )
    args.output.mkdir(parents=True, exist_ok=True)
    results = {}
    for part in args.parts.split(","):
        path = args.output / f"{name}-{part}.json"
        if not path.exists():
            path.write_text(json.dumps({"images": len(split), "grid": grid, **parts[part]()}))
        results[part] = json.loads(path.read_text())
        print(f"{part}: {path}", flush=True)
    print(f"\n{name}\n\n{table(results, grid)}")


if __name__ == "__main__":
    main()
