"""Classes of unequal sizes: what class weights and balanced sampling change, measured once.

    python -m benchmarks.imbalance OUTPUT [--seeds 3]

The data are scikit-learn's handwritten digits: of each digit fewer training images than of the one
before, from 100 of 0 to 5 of 9. The test images are about 50 of each. The backbone, eps and the
learning rates are those of the quickstart, and the schedule is two-hinge. Each figure is the mean
over the seeds with its standard deviation: accuracy over the images (clean) and over the classes
(balanced clean, adversarial, expected), and expected robustness of the three smallest classes.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from rampart.data.digits import IMAGE_SIZE, divide
from rampart.data.splits import InMemory, Split, Splits
from rampart.metrics.classes import class_means
from rampart.metrics.expectation import contributions
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.runs.run_folder import RunFolder

METHODS = {
    "none": [],
    "class_weights=balanced": ["training.class_weights=balanced"],
    "sampler=balanced": ["training.sampler=balanced"],
}
SETTINGS = [
    "model=rampart_glyphnet.glyphs",
    "data=python:digits",
    "data.augment={flip: 0.0, jitter: 0.0, rotation: 0.0}",
    "threat.eps=20/255",
    "schedule=two-hinge",
    "optimizer.backbone_lr=6e-3",
    "optimizer.head_lr=6e-3",
    "training.epochs=20",
    "training.validation_every=20",
    "training.monitors=false",
]
LARGEST, SMALLEST = 100, 5
COLUMNS = ("clean", "balanced clean", "adversarial", "expected", "expected of 7, 8, 9")


def unbalanced_digits() -> Splits:
    """Return the digits, with fewer training images of each digit than of the one before."""
    digits = load_digits()
    images = torch.from_numpy(digits.images).float()[:, None] / 16
    large = F.interpolate(images, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear")
    pixels = (large * 255).round().to(torch.uint8)
    pools = divide(digits.target, 0)
    sizes = np.geomspace(LARGEST, SMALLEST, 10).round().astype(int)
    train = pools["train"]
    kept = [train[digits.target[train] == digit][: sizes[digit]] for digit in range(10)]
    pools["train"] = np.concatenate(kept)
    return Splits.of(
        {
            name: Split(
                [f"{name}/{position}" for position in pool],
                digits.target[pool],
                [str(digit) for digit in range(10)],
                InMemory(pixels[pool]),
            )
            for name, pool in pools.items()
        }
    )


def measure(folder: Path, method: str, seed: int, splits: Splits) -> list[float]:
    """Train and evaluate one run; return its figures."""
    from rampart.attacks.catalogue import ATTACKS
    from rampart.evaluation.default_grid import default_grid
    from rampart.evaluation.whole import evaluate_split
    from rampart.recipes.saved_model import load_saved_model

    config = load_config(None, [*SETTINGS, *METHODS[method], f"seed={seed}"])
    place = RunFolder(folder / f"{method}-seed{seed}")
    run = train_run(config, place.path, resume=place.exists(), splits=splits)
    grid = default_grid(config.threat.eps, "linf", 1)
    model = load_saved_model(run, config)
    found = evaluate_split(model, splits.test, ATTACKS.build("apgd", {"steps": 10}), grid).results
    expected = contributions(found.critical, grid)
    values = [found.critical > 0, found.critical > len(grid) - 1, expected]
    clean, adversarial, robust = (class_means(one, found.labels) for one in values)
    return [
        float((found.critical > 0).mean()),
        clean.mean,
        adversarial.mean,
        robust.mean,
        float(robust.means[7:].mean()),
    ]


def table(rows: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Return the figures of each method, mean and standard deviation over the seeds, in percent."""
    lines = [f"| method | {' | '.join(COLUMNS)} |", f"|---{'|---' * len(COLUMNS)}|"]
    for method, figures in rows.items():
        known = 100 * np.array(figures)
        cells = [f"{m:.1f} ± {s:.1f}" for m, s in zip(known.mean(0), known.std(0), strict=True)]
        lines.append(f"| `{method}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    splits, rows = unbalanced_digits(), {}
    for method in METHODS:
        seeds = range(arguments.seeds)
        rows[method] = [measure(arguments.output, method, seed, splits) for seed in seeds]
        print(table({method: rows[method]}).splitlines()[-1], flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
