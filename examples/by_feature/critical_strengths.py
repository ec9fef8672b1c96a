"""Measure the critical strengths of any model, and compute every figure from them.

python examples/by_feature/critical_strengths.py
"""

import torch

from rampart.attacks.apgd import Apgd
from rampart.data.batches import ordered_batches
from rampart.data.datasets import load_splits
from rampart.evaluation.critical import critical_strengths
from rampart.evaluation.default_grid import default_grid
from rampart.metrics.curve import accuracy_curve
from rampart.metrics.expectation import PointMass, Uniform, contributions, expected_robustness
from rampart.metrics.intervals import mean_interval

splits = load_splits("digit-pairs")
test = splits.test.subset(range(100))


def model(images: torch.Tensor) -> torch.Tensor:
    """Any callable from pixels in [0, 1] to logits: here the nearest class mean."""
    return -(torch.cdist(images.flatten(1), means) ** 2)


train = splits.train
pixels = torch.stack([train[i][0] for i in range(len(train))]).flatten(1) / 255
labels = torch.from_numpy(train.labels)
means = torch.stack([pixels[labels == label].mean(0) for label in range(100)])

grid = default_grid(20 / 255, "linf")
results = critical_strengths(
    model, ordered_batches(test, 50), Apgd(steps=10, iterate="adversarial"), grid, seed=0
)

curve = accuracy_curve(results.critical, len(grid) - 1)
interval = mean_interval(contributions(results.critical, grid))
print(f"clean {curve[0]:.2f}, at 20/255 {curve[-1]:.2f}")
print(f"expected over [0, 20/255] {expected_robustness(results.critical, grid):.2f}", end=" ")
print(f"[{interval.low:.2f}, {interval.high:.2f}]")
print(f"over [0, 10/255] {expected_robustness(results.critical, grid, Uniform(0, 10 / 255)):.2f}")
print(f"at 5/255 {expected_robustness(results.critical, grid, PointMass(5 / 255)):.2f}")
