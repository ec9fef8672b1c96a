"""Find the limits at which fast mode gives runs up (`rampart.evaluation.pruning.LIMITS`).

    python -m benchmarks.calibration NAME RUN SAMPLES EPS ATTACK [RIPPLE] >> traces.jsonl
    python -m benchmarks.calibration table traces.jsonl

The first form evaluates a network without giving anything up, and writes for every run what it
projected at its checkpoints and whether it broke its sample afterwards. RUN is the folder of a
run; RIPPLE adds a sine of that amplitude to the pixels, which masks the gradients. The second form
prints, for each kind of stage and each checkpoint, the largest projection from which a run still
succeeded, and the share of the failing runs that a limit just above it would have ended.
"""

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import benchmarks.resnet20  # noqa: F401  # known to timm from here on
from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.frozen import Model, frozen
from rampart.data.batches import ordered_batches
from rampart.data.splits import Splits
from rampart.evaluation.engine import Engine, Task
from rampart.evaluation.inference import Asked
from rampart.evaluation.lanes import Going, Lane
from rampart.evaluation.pruning import kind
from rampart.models.backbones import build_model
from rampart.models.sources import find_source
from rampart.recipes.build import make_splits
from rampart.recipes.config import load_config
from rampart.units import parse_eps

AGES = {
    "untargeted": (3, 5, 7, 10, 15, 20, 30, 40, 50, 70),
    "targeted": (3, 5, 7, 10, 15, 20, 30, 40, 50, 70),
    "strength-free": (3, 5, 7, 10, 15, 20, 30, 40, 50, 70),
    "black-box": (50, 100, 150, 250, 350, 500, 750, 1000, 1500, 2000, 3000),
}
TRACES: list[list[object]] = []


@dataclass
class Traced(Lane):
    """A lane that writes down what its runs projected."""

    open: dict[int, list[list[object]]] = field(default_factory=lambda: defaultdict(list))

    def _hopeless(self, going: Going, ratio: Tensor) -> Tensor:
        ages = AGES[kind(self.stage)]
        rows = zip(going.flights, going.state.age.tolist(), ratio.tolist(), strict=True)
        for flight, age, value in rows:
            eps = self.grid[flight.progress.level]
            if age in ages and not (self.stage.search.strength_free and value == np.inf):
                row = [kind(self.stage), age, value, flight.nearest / eps, False]
                self.open[flight.sample].append(row)
            if age >= self.stage.search.steps:
                self._close(flight.sample, won=False)
        return torch.zeros_like(ratio, dtype=torch.bool)

    def _descend(self, going: Going, row: int, point: Tensor, length: float) -> bool:
        won = super()._descend(going, row, point, length)
        if won:
            self._close(going.flights[row].sample, won=True)
        return won

    def _close(self, sample: int, won: bool) -> None:
        for row in self.open.pop(sample, []):
            row[-1] = won
            TRACES.append(row)


def load(folder: Path) -> tuple[Model, Splits]:
    """Return the model of a run, in eval mode, and the splits of its data."""
    config = load_config(folder / "config.yaml")
    source = f"local-dir:{folder / 'model'}"
    splits = make_splits(config, find_source(source))
    channels, size, _ = splits.train[0][0].shape
    classes = len(splits.class_names)
    model = build_model(
        source, num_classes=classes, keep_head=True, in_chans=channels, image_size=size
    )
    return model.eval(), splits


class Rippled(torch.nn.Module):
    """A model behind a sine that hides where its gradient leads."""

    def __init__(self, model: Model, amplitude: float) -> None:
        super().__init__()
        self.model, self.amplitude = model, amplitude

    def forward(self, images: Tensor) -> Tensor:
        """Pixels to logits."""
        return self.model(images + self.amplitude * torch.sin(images * 800))


def trace(name: str, run: str, samples: str, eps: str, attack: str, ripple: str = "0") -> None:
    """Evaluate samples of the validation split and the test split; print the traces."""
    model, splits = load(Path(run))
    if float(ripple):
        model = Rippled(model, float(ripple)).eval()
    strength = parse_eps(eps)
    grid = tuple(strength * k / 8 for k in range(9))
    built = ATTACKS.build(attack.partition(":")[0], json.loads(attack.partition(":")[2] or "{}"))
    task = Task(built.stages(), "linf", grid, seed=1)
    batch = next(iter(ordered_batches(splits.test, int(samples))))
    with frozen(model):
        engine = Engine(Asked(model), task, 128, torch.device("cpu"), Traced)
        for _ in engine.run([replace(batch)]):
            pass
    for row in TRACES:
        print(json.dumps([name, *row]))


def table(path: str) -> None:
    """Print what the traces say about each checkpoint."""
    groups: dict[tuple[str, int], list[list[float]]] = defaultdict(list)
    for line in Path(path).read_text().splitlines():
        _, stage, age, ratio, nearest, won = json.loads(line)
        groups[stage, age].append([ratio, ratio / nearest if nearest else np.inf, won])
    print("kind age won lost largest-won 99.5% cut-above-largest | lead: largest-won cut")
    for (stage, age), rows in sorted(groups.items()):
        values = np.array(rows)
        won = values[:, 2] > 0
        text = f"{stage:14} {age:5d} {won.sum():6d} {(~won).sum():6d}"
        for column in (0, 1):
            wins, losses = values[won, column], values[~won, column]
            top = wins.max(initial=0)
            usual = np.quantile(wins, 0.995) if len(wins) else 0
            cut = (losses > top).mean() if len(losses) else 0
            text += f" | {top:8.3f} {usual:8.3f} {cut:6.1%}"
        print(text)


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"table": table}.get(sys.argv[1], trace)(*sys.argv[2 if sys.argv[1] == "table" else 1 :])
