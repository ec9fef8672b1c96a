"""Compare the engine with an attack at each strength alone: accuracy and cost.

    python -m benchmarks.curve RUN [--images 80] [--eps 8/255] [--strengths 8] [--attack standard]
        [--parts each,exact,fast,one,again] [--output benchmarks/results]

RUN is the folder of a run of `rampart train`. Every part is measured on the same images and written
to OUTPUT when it is finished. A part that OUTPUT already holds is not measured again. The table at
the end is made from the files in OUTPUT.

each   the attack at each strength alone, from the clean image, with separate code
exact  the engine without pruning
fast   the engine with pruning, rechecks and, if needed, the escalation
one    the attack at the last strength alone; `each` includes it
again  `each` with another seed: the noise of the comparison
draws  `each` and `fast` with ten seeds: does the mean difference exceed the noise?
torchattacks  the four attacks of another library with AutoAttack's settings at each strength, each
       on the images that the earlier ones left robust; for `short` and `standard` under Linf
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.calibration import load
from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.frozen import Model, frozen
from rampart.choices import EvaluationMode
from rampart.data.batches import ordered_batches
from rampart.data.splits import Split
from rampart.data.subset import subset
from rampart.evaluation.inference import QueriedModel, logits_of
from rampart.evaluation.whole import evaluate_split
from rampart.runtime import Noise
from rampart.units import format_eps, parse_eps


class Clocked:
    """A model that measures the time of its forward and backward passes."""

    def __init__(self, module: Model) -> None:
        self.module = module
        self.seconds = 0.0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the model's logits; the time of their backward pass is measured too."""
        start = time.perf_counter()
        logits = _Clock.apply(self, images) if images.requires_grad else self.module(images)
        self.seconds += time.perf_counter() - start
        return logits


class _Clock(torch.autograd.Function):
    """The model as one node of the graph, to measure its backward pass."""

    @staticmethod
    def forward(ctx: Any, clocked: Clocked, images: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            ctx.images = images.detach().requires_grad_()
            ctx.logits = clocked.module(ctx.images)
        ctx.clocked = clocked
        return ctx.logits.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
        start = time.perf_counter()
        (gradient,) = torch.autograd.grad(ctx.logits, ctx.images, gradients[0])
        ctx.clocked.seconds += time.perf_counter() - start
        return None, gradient


def at_each(
    model: Model, split: Split, attack: Attack, grid: list[float], seed: int
) -> dict[str, Any]:
    """Attack every image at every strength above 0 alone."""
    queried, robust, passes, seconds = QueriedModel(model), [], [], []
    (batch,) = ordered_batches(split, len(split))
    images, labels = batch.pixels(), batch.labels
    with frozen(model):
        clean = logits_of(queried, images).argmax(1) == labels
        for grid_index, eps in enumerate(grid[1:], start=1):
            before, start = sum(queried.passes), time.perf_counter()
            noise = Noise.of(seed, batch.indices, "each", grid_index)
            points = attack(queried, images, labels, eps, noise)
            correct = (logits_of(model, points).argmax(1) == labels) & clean
            robust.append(correct.tolist())
            passes.append(sum(queried.passes) - before)
            seconds.append(time.perf_counter() - start)
    return {"robust": robust, "passes": passes, "seconds": seconds, "clean": clean.tolist()}


def torchattacks_at_each(
    model: Model, split: Split, attack_suite: str, grid: list[float], seed: int
) -> dict[str, Any]:
    """Attack every image at every strength with the attacks of AutoAttack in torchattacks."""
    import torchattacks

    assert isinstance(model, torch.nn.Module)
    (batch,) = ordered_batches(split, len(split))
    images, labels = batch.pixels(), batch.labels
    robust, passes, seconds = [], [], []
    queried = CountingModel(model).eval()
    classes = {"n_classes": len(split.class_names)}
    for eps in grid[1:]:
        settings: dict[str, Any] = {"eps": eps, "seed": seed}
        attacks = [
            torchattacks.APGD(queried, steps=100, loss="ce", **settings),
            torchattacks.APGDT(queried, steps=100, **classes, **settings),
        ]
        if attack_suite == "standard":
            attacks += [
                torchattacks.FAB(queried, steps=100, multi_targeted=True, **classes, **settings),
                torchattacks.Square(queried, n_queries=5000, resc_schedule=False, **settings),
            ]
        start = time.perf_counter()
        with frozen(model), torch.random.fork_rng():
            queried.passes = 0
            correct = model(images).argmax(1) == labels
            clean = correct.clone()
            for attack in attacks:
                rows = correct.nonzero()[:, 0]
                if len(rows):
                    points = attack(images[rows], labels[rows])
                    inside = (points - images[rows]).abs().flatten(1).amax(1) <= eps * (1 + 1e-5)
                    correct[rows] = (model(points).argmax(1) == labels[rows]) | ~inside
        robust.append(correct.tolist())
        passes.append(queried.passes)
        seconds.append(time.perf_counter() - start)
    return {"robust": robust, "passes": passes, "seconds": seconds, "clean": clean.tolist()}


def draws(
    model: Model, split: Split, attack: Attack, grid: list[float], count: int
) -> dict[str, Any]:
    """Compare accuracies, engine minus each alone, over several seeds of the noise."""
    alone, ours, passes, seconds = [], [], [], []
    for seed in range(count):
        each = at_each(model, split, attack, grid, 100 + seed)
        fast = engine(model, split, attack, grid, 200 + seed, fast=True)
        alone.append(np.mean(each["robust"], axis=1))
        ours.append([np.mean(np.array(fast["critical"]) > k) for k in range(1, len(grid))])
        passes += [sum(each["passes"]), fast["passes"]]
        seconds += [sum(each["seconds"]), fast["seconds"]]
    differences = np.array(ours) - np.array(alone)
    return {
        "alone": np.mean(alone, axis=0).tolist(),
        "difference": differences.mean(0).tolist(),
        "standard_error": (differences.std(0, ddof=1) / np.sqrt(count)).tolist(),
        "passes": passes,
        "seconds": seconds,
    }


class CountingModel(torch.nn.Module):
    """A model that counts the images of its forward and backward passes."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module, self.passes = module, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the model's logits."""
        self.passes += len(images)
        logits: torch.Tensor = self.module(images)
        if logits.requires_grad:
            logits.register_hook(self._back)  # type: ignore[no-untyped-call]  # torch
        return logits

    def _back(self, gradient: torch.Tensor) -> None:
        self.passes += len(gradient)


def engine(
    model: Model, split: Split, attack: Attack, grid: list[float], seed: int, fast: bool
) -> dict[str, Any]:
    """Find the critical strengths, and the fraction of the time spent outside the model."""
    clocked = Clocked(model)
    mode: EvaluationMode = "fast" if fast else "exact"
    done = evaluate_split(clocked, split, attack, grid, seed, mode=mode)
    results, total = done.results, done.seconds
    return {
        "critical": results.critical.tolist(),
        "passes": results.forwards_total + results.backwards_total,
        "seconds": total,
        "outside_model": 1 - clocked.seconds / total,
        "stages": {str(k): int((results.stage == k).sum()) for k in np.unique(results.stage)},
        "pruning": done.pruning and done.pruning.figures(),
    }


def table(results: dict[str, Any], grid: list[float]) -> str:
    """Return the measurements as Markdown."""
    each = results.get("each")
    other = results.get("torchattacks")
    lines = ["| strength | each alone | torchattacks | exact | fast |", "|---|---|---|---|---|"]
    for grid_index, eps in enumerate(grid[1:], start=1):
        cells = [
            f"{np.mean(alone['robust'][grid_index - 1]):.1%}" if alone else "-"
            for alone in (each, other)
        ]
        for mode in ("exact", "fast"):
            known = results.get(mode)
            fraction = np.mean(np.array(known["critical"]) > grid_index) if known else None
            cells.append("-" if fraction is None else f"{fraction:.1%}")
        lines.append(f"| {format_eps(eps)} | {' | '.join(cells)} |")
    if drawn := results.get("draws"):
        lines += ["", "| strength | each alone, mean | fast minus that | standard error |"]
        lines += ["|---|---|---|---|"]
        columns = (grid[1:], drawn["alone"], drawn["difference"], drawn["standard_error"])
        for eps, alone, difference, error in zip(*columns, strict=True):
            figures = f"{alone:.2%} | {difference:+.2%} | {error:.2%}"
            lines.append(f"| {format_eps(eps)} | {figures} |")
    lines.append("")
    one = (each or results.get("one") or {"passes": [0]})["passes"][-1]
    for mode in ("each", "one", "exact", "fast", "again", "torchattacks"):
        if mode not in results:
            continue
        passes = int(np.sum(results[mode]["passes"]))
        text = f"{mode}: {passes:,} passes, {np.sum(results[mode]['seconds']):.0f} s"
        if one:
            text += f", {passes / one:.2f} of one run at {format_eps(grid[-1])}"
        if each:
            text += f", {np.sum(each['passes']) / passes:.1f} times cheaper than each alone"
        if "outside_model" in results[mode]:
            text += f", {results[mode]['outside_model']:.1%} of the time outside the model"
        lines.append(text)
    return "\n".join(lines)


def main() -> None:
    """Measure the missing parts, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--eps", default="8/255")
    parser.add_argument("--strengths", type=int, default=8)
    parser.add_argument("--attack", default="standard")
    parser.add_argument("--options", default="{}", type=json.loads)
    parser.add_argument("--parts", default="each,exact,fast")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--name")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, splits = load(args.run)
    split = subset(splits.test, limit=args.images, seed=0)
    strict = {"iterate": "adversarial"} if ATTACKS.takes(args.attack, "iterate") else {}
    attack = ATTACKS.build(args.attack, {**strict, **args.options})
    eps = parse_eps(args.eps)
    grid = [eps * grid_index / args.strengths for grid_index in range(args.strengths + 1)]
    name = args.name or f"{args.run.name}-{args.attack}-{format_eps(eps).replace('/', '_')}"
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "each": lambda: at_each(model, split, attack, grid, 10),
        "one": lambda: at_each(model, split, attack, [0.0, grid[-1]], 10),
        "again": lambda: at_each(model, split, attack, grid, 11),
        "exact": lambda: engine(model, split, attack, grid, 0, fast=False),
        "fast": lambda: engine(model, split, attack, grid, 0, fast=True),
        "draws": lambda: draws(model, split, attack, grid, 10),
        "torchattacks": lambda: torchattacks_at_each(model, split, args.attack, grid, 12),
    }
    args.output.mkdir(parents=True, exist_ok=True)
    results = {}
    for part in args.parts.split(","):
        path = args.output / f"{name}-{part}.json"
        if not path.exists():
            path.write_text(json.dumps({"images": len(split), "grid": grid, **parts[part]()}))
        results[part] = json.loads(path.read_text())
    print(f"{name}, {len(split)} images\n\n{table(results, grid)}")


if __name__ == "__main__":
    main()
