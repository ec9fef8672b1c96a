"""What an evaluation says about networks whose figures must not be trusted, and about sound ones.

    python -m benchmarks.subjects [--seeds 20] [--images 120] [--attack standard]
        [--output benchmarks/results/subjects.jsonl]

Each subject is a small convolutional network on handwritten digits (`benchmarks/networks.py`), or
such a network behind a wrapper. It is evaluated in fast and in exact mode by `rampart.evaluate`,
with all checks. Every result is one line of OUTPUT, written when it is finished and not measured
again. The table states clean accuracy, accuracy at the last strength and expected robustness, how
many images fast mode leaves higher or lower than exact mode, what its recheck excludes, and the
checks that do not pass. Below it stands how many of the sound networks raised an alarm.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import rampart
from benchmarks.networks import EPS, NETWORKS, Centered, digits, fit
from rampart.data.splits import Split
from rampart.data.subset import subset
from rampart.runtime import scoped_seed

#: The largest strength.
LAST = EPS


class Power(nn.Module):
    """Margins to a power, which hardly change far from the boundary."""

    def __init__(self, model: nn.Module, power: float) -> None:
        super().__init__()
        self.model, self.power = model, power

    def forward(self, images: Tensor) -> Tensor:
        """Return minus the power of the distance to the largest logit."""
        logits = self.model(images)
        behind = logits.amax(1, keepdim=True) - logits
        powered: Tensor = -((behind + 1e-12) ** self.power)
        return powered


class After(nn.Module):
    """A function of the logits."""

    def __init__(self, model: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, images: Tensor) -> Tensor:
        """Return the function of the logits."""
        return self.function(self.model(images))


class Before(nn.Module):
    """A function of the pixels."""

    def __init__(self, model: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the function of the pixels."""
        logits: Tensor = self.model(self.function(images))
        return logits


def _quantized(images: Tensor) -> Tensor:
    """Round to few gray levels; the gradient that arrives belongs to a wave of the pixels."""
    wrong = 0.3 * torch.sin(40 * images)
    return (images * 15).round() / 15 + wrong - wrong.detach()


SUBJECTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "sound": lambda model: model,
    "margins to the power 0.1": lambda model: Power(model, 0.1),
    "margins to the power 0.3": lambda model: Power(model, 0.3),
    "squashed by tanh": lambda model: After(model, lambda logits: torch.tanh(logits / 4)),
    "masked by a sine": lambda model: Before(model, lambda x: x + 0.01 * torch.sin(800 * x)),
    "masked by rounding": lambda model: Before(model, _quantized),
    "randomized": lambda model: Before(model, lambda x: x + 0.05 * torch.randn_like(x)),
    "saturated": lambda model: After(model, lambda logits: 1e4 * logits),
    "normalized twice": lambda model: nn.Sequential(Centered(), model),
    "scores of a sigmoid": lambda model: After(model, torch.sigmoid),
    "probabilities": lambda model: After(model, lambda logits: logits.softmax(1)),
}


def network(seed: int, robust: bool, folder: Path) -> nn.Module:
    """Return a trained network, kept in `folder`."""
    with scoped_seed(seed):
        model = nn.Sequential(Centered(), NETWORKS["groupnorm"]())
    file = folder / f"groupnorm-{'robust' if robust else 'standard'}-{seed}.pt"
    if file.exists():
        model.load_state_dict(torch.load(file, weights_only=True))
    else:
        fit(model, digits()[0], EPS if robust else 0.0, seed)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), file)
    return model.eval()


def measure(model: nn.Module, split: Split, attack: str, mode: str, seed: int) -> dict[str, Any]:
    """Return what an evaluation says."""
    with warnings.catch_warnings():
        # They repeat the verdicts.
        warnings.simplefilter("ignore")
        found = rampart.evaluate(
            model, split, LAST, attack, seed=seed, mode="fast" if mode == "fast" else "exact"
        )
    verdicts = found.metadata["checks"]["verdicts"]
    bad = {one["check"]: one["status"] for one in verdicts if one["status"] in ("warn", "fail")}
    return {
        "critical": found.critical.tolist(),
        "clean": found.clean,
        "last": found.adversarial,
        "expected": found.expected()[0],
        "pruning": found.metadata["pruning"],
        "rows": found.metadata["rows"],
        "seconds": found.metadata["seconds"],
        "alarms": bad,
    }


def table(found: list[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = ["| subject | mode | clean | last | expected | fast too high, low | excludes | trust |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    exact = {(one["subject"], one["seed"]): one for one in found if one["mode"] == "exact"}
    for one in found:
        other, pruning = exact.get((one["subject"], one["seed"])), one["pruning"] or {}
        high = low = "-"
        if other and one["mode"] == "fast":
            change = np.array(one["critical"]) - np.array(other["critical"])
            high, low = str((change > 0).sum()), str((change < 0).sum())
        figures = " | ".join(f"{one[key]:.1%}" for key in ("clean", "last", "expected"))
        size = "escalated" if pruning.get("escalated") else f"{pruning.get('excluded', 0):.1%}"
        trust = ", ".join(f"{status} {check}" for check, status in one["alarms"].items()) or "pass"
        name = f"{one['subject']}, seed {one['seed']}"
        lines.append(f"| {name} | {one['mode']} | {figures} | {high}, {low} | {size} | {trust} |")
    sound = [one for one in found if one["subject"].startswith("sound") and one["mode"] == "fast"]
    alarms = sum(bool(one["alarms"]) for one in sound)
    escalated = sum(bool((one["pruning"] or {}).get("escalated")) for one in sound)
    lines += ["", f"{len(sound)} sound networks: {alarms} alarms, {escalated} escalations"]
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--attack", default="standard")
    parser.add_argument("--modes", default="fast,exact")
    parser.add_argument("--subjects", default=",".join(SUBJECTS))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/subjects.jsonl"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    lines = args.output.read_text().splitlines() if args.output.exists() else []
    found = [json.loads(line) for line in lines]
    known = {(one["subject"], one["seed"], one["mode"]) for one in found}
    split = subset(digits()[1], limit=args.images, seed=0)
    # The networks of even seeds are robust, the others are trained without an attack.
    wanted = [(name, 0) for name in args.subjects.split(",")] + [
        ("sound", seed) for seed in range(1, args.seeds)
    ]
    for name, seed in wanted:
        for mode in args.modes.split(","):
            if (name, seed, mode) in known:
                continue
            model = network(seed, seed % 2 == 0, args.output.parent / "networks")
            one = measure(SUBJECTS[name](model).eval(), split, args.attack, mode, seed)
            found.append({"subject": name, "seed": seed, "mode": mode, **one})
            with args.output.open("a") as file:
                file.write(json.dumps(found[-1]) + "\n")
            print(f"{name}, seed {seed}, {mode}: {one['seconds']:.0f} s", flush=True)
    print(f"\n{table(found)}")


if __name__ == "__main__":
    main()
