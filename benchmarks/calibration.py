"""Find the limits for pruning in fast mode (`rampart.evaluation.engine.pruning.LIMITS`).

    python -m benchmarks.calibration NAME RUN SAMPLES EPS ATTACK [RIPPLE] >> traces.jsonl
    python -m benchmarks.calibration table traces.jsonl

The first form evaluates a network without pruning. For every run it writes the projections at its
checkpoints, and whether the run found an adversarial example afterwards. RUN is the folder of a
run. RIPPLE adds a sine of that amplitude to the pixels, which masks the gradients.

The second form prints a row for each kind of stage and each checkpoint: the largest projection from
which a run still succeeded, and the fraction of the failing runs that a limit just above it would
have stopped. calibration.md holds the output for the present limits.
"""

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import benchmarks.resnet20  # noqa: F401  # registers it with timm
from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.frozen import Model, frozen
from rampart.data.batches import ordered_batches
from rampart.data.splits import Splits
from rampart.evaluation.engine.engine import Engine, Task
from rampart.evaluation.engine.policy import AttackRun
from rampart.evaluation.engine.pruning import SHORT, kind
from rampart.evaluation.engine.sample_state import Event, Running
from rampart.evaluation.engine.stage_batch import StageBatch
from rampart.evaluation.inference import QueriedModel
from rampart.models.backbones import build_model
from rampart.models.sources import find_source
from rampart.recipes.config.loading import load_config
from rampart.recipes.splits import make_splits
from rampart.units import parse_eps

AGES = {
    "untargeted": (3, 5, 7, 10, 15, 20, 30, 40, 50, 70),
    "targeted": (3, 5, 7, 10, 15, 20, 30, 40, 50, 70),
    "minimum-norm": (3, 5, 7, 10, 15, 20, 30, 40, 50, 70),
    "black-box": (50, 100, 150, 250, 350, 500, 750, 1000, 1500, 2000, 3000),
}
TRACES: list[list[Any]] = []
#: Number of a sample, and one of its runs.
RunKey = tuple[int, AttackRun]


@dataclass(eq=False)
class Traced(StageBatch):
    """A stage batch that stores the projections of its runs."""

    open: dict[RunKey, list[list[Any]]] = field(default_factory=lambda: defaultdict(list))

    def _find_pruned(self, running: Running, ratio: Tensor) -> Tensor:
        ages = AGES[kind(self.stage)] if self.stage.algorithm.steps >= SHORT else range(1, SHORT)
        rows = zip(running.runs, running.state.age.tolist(), ratio.tolist(), strict=True)
        for run, age, value in rows:
            key = (run.sample.index, run.run)
            # A run ahead of its turn was dropped, and has begun anew.
            if age == 0:
                self.open[key].clear()
            if age in ages:
                name = f"{kind(self.stage)}, {self.stage.algorithm.steps} steps"
                self.open[key].append([name, age, value, False])
            if age >= self.stage.algorithm.steps:
                self._close(key, won=False)
        return torch.zeros_like(ratio, dtype=torch.bool)

    def _descend(self, event: Event) -> bool:
        won = super()._descend(event)
        if won:
            self._close((event.run.sample.index, event.run.run), won=True)
        return won

    def _close(self, key: RunKey, won: bool) -> None:
        for row in self.open.pop(key, []):
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
        source, num_classes=classes, pretrained_head=True, in_chans=channels, image_size=size
    )
    return model.eval(), splits


class Rippled(torch.nn.Module):
    """A model behind a sine that masks its gradient."""

    def __init__(self, model: Model, amplitude: float) -> None:
        super().__init__()
        self.model, self.amplitude = model, amplitude

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of pixels."""
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
        engine = Engine(QueriedModel(model), task, 128, torch.device("cpu"), Traced)
        for _ in engine.run([replace(batch)]):
            pass
    for row in TRACES:
        print(json.dumps([name, *row]))


def table(path: str) -> None:
    """Print the successes and failures at each checkpoint as Markdown."""
    groups: dict[tuple[str, int], list[tuple[float, bool, str]]] = defaultdict(list)
    for line in Path(path).read_text().splitlines():
        network, stage, age, ratio, won = json.loads(line)
        groups[stage, age].append((ratio, won, network))
    print("| stage | steps made | successes after | largest projection of one | on | failures |")
    print("|---|---|---|---|---|---|")
    for (stage, age), rows in sorted(groups.items()):
        won = [row for row in rows if row[1]]
        lost = [row for row in rows if not row[1]]
        top = max(won, default=(0.0, True, "-"))
        above = np.mean([row[0] > top[0] for row in lost]) if lost else 0.0
        fraction = f"{len(lost)}, {above:.0%} above"
        print(f"| {stage} | {age} | {len(won)} | {top[0]:.2f} | {top[2]} | {fraction} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"table": table}.get(sys.argv[1], trace)(*sys.argv[2 if sys.argv[1] == "table" else 1 :])
