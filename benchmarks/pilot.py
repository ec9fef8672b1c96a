"""How often the verdict of the pilot is wrong, and what that costs: regret over many seeds.

    python -m benchmarks.pilot OUTPUT [--testbeds "A" "B"] [--seeds 20] [--first-seed 100]

Each seed of a testbed trains both ways, with the default attack:

- at full strength all the time, as after a passed pilot;
- the longest pilot, standard fine-tuning for as many epochs, then the whole ramp, as after a failed
  one with `pilot_restart=baseline`.

A rule looks at the pilot's epochs and chooses. Its regret is the expected robustness, on the
validation split under APGD-10, of the better way minus that of the chosen one. OUTPUT gets a line
for each seed, so that a later command goes on; the table is made from these lines. Seeds from 100
on are used by no test table. A cell of the table has the number of pilots that pass by a rule, and
its mean regret in points.

Testbeds: digit pairs on the backbone of the quickstart at 20/255 and 10/255; the same with
BatchNorm at 20/255 (full strength is right); a network without normalization layers at 10/255,
pretrained on glyphs too; and, only where it is named, a MobileNetV2 whose BatchNorm is folded into
its convolutions, on photos of 40 classes at 2/255. It needs `mobilenetv2_100.safetensors` in the
working folder, and beside it the photos of the first 40 classes of Caltech-101, 20 of them for
training and validation:

    tar -xf caltech101_99x30.tar && mkdir caltech40
    for split in train val test; do
      mkdir caltech40/$split
      for class in $(ls caltech101/train | head -40); do
        cp -r caltech101/$split/$class caltech40/$split/
      done
    done
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import rampart
from benchmarks.networks import fit
from benchmarks.results import Rows
from rampart.attacks.apgd import Apgd
from rampart.data.datasets import load_splits
from rampart.evaluation.whole import evaluate_split
from rampart.metrics.expectation import contributions
from rampart.models.backbones import build_model
from rampart.models.given import own_model
from rampart.models.normalized import NormalizedModel
from rampart.recipes.config.loading import load_config
from rampart.recipes.train import train_run
from rampart.runs.history import History
from rampart.runs.run_folder import RunFolder
from rampart.runtime import scoped_seed
from rampart.schedules.adaptive import Stop
from rampart.training.pilot_verdict import ENOUGH, Pilot

ATTACK = "attack={name: apgd, steps: 3}"
PAIRS = [
    ATTACK,
    "model=rampart_glyphnet.glyphs",
    "data=digit-pairs",
    "data.augment={flip: 0.0, jitter: 0.0, rotation: 0.0}",
    "optimizer={backbone_lr: 6.0e-3, head_lr: 6.0e-3, backbone_weight_decay: 0.05, "
    "head_weight_decay: 0.05}",
    "training={epochs: 15, batch_size: 32, monitors: false, validation_every: 15}",
]
SLOWER = ["optimizer.backbone_lr=2e-3", "optimizer.head_lr=2e-3"]
PHOTOS = [
    ATTACK,
    "model=mobilenetv2_100.safetensors",
    "data={name: caltech40, image_size: 48}",
    "optimizer={backbone_lr: 1.0e-4, head_lr: 1.0e-3}",
    "training={epochs: 10, batch_size: 32, monitors: false, validation_every: 10}",
]
#: Name of a testbed to its strength, what builds its network and its other settings.
TESTBEDS: dict[str, tuple[str, str, list[str]]] = {
    "GroupNorm at 20/255": ("20/255", "default", PAIRS),
    "GroupNorm at 10/255": ("10/255", "default", PAIRS),
    "BatchNorm at 20/255": ("20/255", "batch", PAIRS),
    "no normalization at 10/255": ("10/255", "none", [*PAIRS, *SLOWER]),
    "photos at 2/255": ("2/255", "folded", PHOTOS),
}
#: Needs files.
NAMED_ONLY = "photos at 2/255"
Vector = NDArray[Any]
LIMITS = (0.2, ENOUGH, 0.5, 0.7)
#: Rules by name: what ends the pilot, and the fraction of the skill that suffices to continue.
RULES: dict[str, tuple[Stop, float] | None] = {
    "always full strength": None,
    "always the ramp": None,
    **{f"{stop}, {limit:.2g}": (stop, limit) for stop in get_args(Stop) for limit in LIMITS},
}
WIDTH = 32


class Plain(nn.Module):
    """Four convolutions without normalization layers; 16 x 16 gray images to logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride in (
            (1, WIDTH, 2),
            (WIDTH, WIDTH, 1),
            (WIDTH, 2 * WIDTH, 2),
            (2 * WIDTH, 2 * WIDTH, 1),
        ):
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(8 * WIDTH, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 1, 16, 16), normalized, to logits (N, K)."""
        return self.head(self.body(images))


def backbone(norm: str, folder: Path) -> Path:
    """Return the weights of a backbone pretrained on glyphs; kept in the folder."""
    file = folder / f"{norm}.pt"
    if file.exists():
        return file
    splits = load_splits("glyphs")
    with scoped_seed(0):
        model = network(norm, len(splits.class_names))
    fit(model, splits.train, 0.0, seed=0, epochs=12)
    torch.save(model.state_dict(), file)
    return file


def network(norm: str, classes: int) -> NormalizedModel:
    """Return a network for 16 x 16 gray images."""
    if norm == "none":
        inner: nn.Module = Plain(classes)
    else:
        inner = timm.create_model("rampart_glyphnet", norm=norm, num_classes=classes)
    return own_model(inner, num_classes=classes, input_size=(1, 16, 16), mean=(0.5,), std=(0.5,))


def pretrained(norm: str, folder: Path, seed: int) -> NormalizedModel | None:
    """Return a pretrained backbone with a new head; None for that of the configuration."""
    if norm == "default":
        return None
    if norm == "folded":
        built = build_model("mobilenetv2_100.safetensors", num_classes=40, seed=seed)
        means = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
        return own_model(folded(built.backbone), num_classes=40, input_size=(3, 48, 48), **means)
    weights = torch.load(backbone(norm, folder), weights_only=True)
    with scoped_seed(seed):
        model = network(norm, 100)
    kept = {
        name: one for name, one in weights.items() if one.shape == model.state_dict()[name].shape
    }
    model.load_state_dict(kept, strict=False)
    return model


def folded(model: nn.Module) -> nn.Module:
    """Return the network in eval mode, with every BatchNorm as a part of its convolution."""
    model.eval()
    for parent in list(model.modules()):
        children = list(parent.named_children())
        for (one, convolution), (other, norm) in pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, one, fuse_conv_bn_eval(convolution, norm))
                setattr(parent, other, getattr(norm, "act", nn.Identity()))
    return model


@contextmanager
def failing() -> Iterator[None]:
    """Let every pilot take all its epochs and fail."""
    with (
        patch.object(Pilot, "decided", property(lambda _: False)),
        patch.object(Pilot, "passed", property(lambda _: False)),
    ):
        yield


def measured(testbed: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train one seed both ways; return the figures of the pilot and of both."""
    eps, norm, others = TESTBEDS[testbed]
    settings = [*others, f"threat.eps={eps}", f"seed={seed}"]
    own = pretrained(norm, folder, seed)
    with tempfile.TemporaryDirectory() as scratch:
        places = [Path(scratch, name) for name in ("full", "ramp")]
        full = train_run(load_config(None, [*settings, "schedule=fix"]), places[0], network=own)
        with failing():
            shared = [*settings, "schedule=adaptive", "schedule.pilot_restart=baseline"]
            ramp = train_run(load_config(None, shared), places[1], network=own)
        facts = ramp.facts()["pilot"]
        rows, tried = History(ramp.history).rows(), History(ramp.pilot).rows()
        return {
            "testbed": testbed,
            "seed": seed,
            "chance": facts["chance"],
            "images": facts["images"],
            "standard": [row["val_clean"] for row in rows[: facts["epochs"]]],
            "tried": [row["val_clean"] for row in tried],
            "epochs": [row["val_clean"] for row in History(full.history).rows()],
            "full": _expected(full, own),
            "ramp": _expected(ramp, own),
        }


def _expected(folder: RunFolder, own: nn.Module | None) -> dict[str, float]:
    run, config = rampart.load_run(folder.path, own), load_config(folder.config)
    grid = [config.threat.eps * step / 8 for step in range(9)]
    splits = load_splits(config.data.name, image_size=config.data.image_size)
    attack = Apgd(steps=10, iterate="adversarial")
    found = evaluate_split(run.model, splits.validation, attack, grid, mode="exact")
    critical = found.results.critical
    expected = float(contributions(critical, grid).mean())
    return {"clean": float((critical > 0).mean()), "expected": expected}


def passes(row: dict[str, Any], rule: str) -> bool:
    """Return whether a rule continues at full strength."""
    named = RULES[rule]
    if named is None:
        return rule == "always full strength"
    with patch("rampart.training.pilot_verdict.ENOUGH", named[1]):
        return _verdict(row, named[0]).passed


def _verdict(row: dict[str, Any], stop: Stop) -> Pilot:
    """Return the pilot as it is when it ends."""
    figures = zip(row["tried"], row["standard"], strict=True)
    pilots = [
        Pilot(epoch, clean, standard, row["chance"], row["images"], stop)
        for epoch, (clean, standard) in enumerate(figures, start=1)
    ]
    return next((pilot for pilot in pilots if pilot.decided), pilots[-1])


def table(rows: list[dict[str, Any]]) -> str:
    """Return passed pilots and regret of each rule on each testbed, and its wrong verdicts."""
    testbeds = list(dict.fromkeys(row["testbed"] for row in rows))
    found = {rule: [_outcome(rows, testbed, rule) for testbed in testbeds] for rule in RULES}
    counts = [len(one) for one, _ in next(iter(found.values()))]
    heads = [f"{testbed} ({count})" for testbed, count in zip(testbeds, counts, strict=True)]
    lines = [
        f"| rule | {' | '.join(heads)} | wrong of {len(rows)} | largest regret |",
        f"| :-- |{' --: |' * (len(testbeds) + 2)}",
    ]
    for rule, outcomes in found.items():
        cells = [f"{passed.sum()}, {regret.mean():.2f}" for passed, regret in outcomes]
        regrets = np.concatenate([regret for _, regret in outcomes])
        cells += [str((regrets > 0).sum()), f"{regrets.max():.1f}"]
        lines.append(f"| {rule} | {' | '.join(cells)} |")
    late = sum(_falls_behind(row) for row in rows)
    named = f"certain, {ENOUGH:.2g}"
    return "\n".join([*lines, "", f"Runs that `{named}` continues and that fall behind: {late}."])


def _outcome(rows: list[dict[str, Any]], testbed: str, rule: str) -> tuple[Vector, Vector]:
    """Return which pilots pass, and the regret of each in points of expected robustness."""
    here = [row for row in rows if row["testbed"] == testbed]
    passed = np.array([passes(row, rule) for row in here])
    full, ramp = (np.array([row[way]["expected"] for row in here]) for way in ("full", "ramp"))
    return passed, 100 * (np.maximum(full, ramp) - np.where(passed, full, ramp))


def _falls_behind(row: dict[str, Any]) -> bool:
    """Whether the run at full strength passes the default pilot and falls behind later."""
    pilot = _verdict(row, "certain")
    return any(
        pilot.falls_behind(epoch, clean) for epoch, clean in enumerate(row["epochs"], start=1)
    )


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--testbeds", nargs="+", choices=TESTBEDS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    rows = Rows(args.output / "pilot.jsonl")
    named = args.testbeds or [one for one in TESTBEDS if one != NAMED_ONLY]
    done = {(row["testbed"], row["seed"]) for row in rows.read()}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for testbed in named:
            if (testbed, seed) not in done:
                rows.add(measured(testbed, seed, args.output))
    print(table(rows.read()))


if __name__ == "__main__":
    main()
