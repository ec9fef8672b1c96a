"""Small robust networks on handwritten digits, trained once.

The digits are scikit-learn's, 8 x 8 pixels enlarged to 32 x 32, in ten classes: 797 for training
and 1000 for the test. Training is adversarial with a ramp (`RobustLoss`) and takes a few minutes on
one core for the ResNet-20. A trained network is kept in a file.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.resnet20 import ResNet20
from rampart.attacks.apgd import Apgd
from rampart.data.splits import Split
from rampart.integrations.robust import RobustLoss
from rampart.runtime import scoped_seed
from rampart.schedules.hinge import Standard, TwoHinge
from rampart.units import Horizon

SIDE, TRAINING, EPOCHS, BATCH = 32, 797, 20, 32
#: Strength of the training.
EPS = 40 / 255


class Centered(nn.Module):
    """Normalizes pixels in [0, 1] to [-1, 1]."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same shape."""
        return (images - 0.5) / 0.5


def _groupnorm() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((1, 24, 2), (24, 48, 2), (48, 96, 2)):
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1)
        layers += [conv, nn.GroupNorm(4, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10))


def _transformer() -> nn.Module:
    return timm.create_model(
        "vit_tiny_patch16_224",
        img_size=SIDE,
        in_chans=1,
        patch_size=8,
        embed_dim=64,
        depth=4,
        num_heads=4,
        num_classes=10,
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet20": lambda: ResNet20(in_chans=1),
    "groupnorm": _groupnorm,
    "transformer": _transformer,
}


def digits(seed: int = 0) -> tuple[Split, Split]:
    """Return the training and the test split."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.from_numpy(found.images).float()[:, None] / 16
    images = F.interpolate(images, (SIDE, SIDE), mode="bilinear")
    images = (255 * images).round() / 255
    order = np.random.default_rng(seed).permutation(len(images))
    labels = torch.from_numpy(found.target)
    parts = (order[:TRAINING], order[TRAINING:])
    train, test = (Split.of_tensors(images[part], labels[part]) for part in parts)
    return train, test


def trained(name: str, folder: Path, seed: int = 0) -> tuple[nn.Module, Split]:
    """Return a trained network, kept in `folder`, and its test split."""
    train, test = digits()
    with scoped_seed(seed):
        model = nn.Sequential(Centered(), NETWORKS[name]())
    file = folder / f"{name}-{seed}.pt"
    if file.exists():
        model.load_state_dict(torch.load(file, weights_only=True))
    else:
        fit(model, train, EPS, seed)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), file)
    return model.eval(), test


def fit(model: nn.Module, train: Split, eps: float, seed: int, epochs: int = EPOCHS) -> None:
    """Train a network against perturbations up to eps; with eps = 0 without an attack."""
    images = torch.stack([train.pixels(position) for position in range(len(train))]) / 255
    labels, steps = torch.from_numpy(train.labels.copy()), -(-len(train) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    horizon, schedule = Horizon(epochs, steps), TwoHinge(0.1, 0.6) if eps else Standard()
    robust = RobustLoss(
        model.train(), eps or EPS, horizon, schedule=schedule, attack=Apgd(steps=5), seed=seed
    )
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for part in np.array_split(rng.permutation(len(train)), steps):
            optimizer.zero_grad()
            robust(images[part], labels[part]).backward()
            optimizer.step()
            robust.step()
