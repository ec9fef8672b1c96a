"""A small network trained in a second on real digits."""

import pytest
import torch
from torch import Tensor, nn

from rampart.losses import cross_entropy
from rampart.runtime import scoped_seed


def digits() -> tuple[Tensor, Tensor]:
    """Return the digits of scikit-learn: images (1797, 1, 8, 8) in [0, 1], labels (1797,)."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = torch.as_tensor(pixels / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    return images, torch.as_tensor(labels, dtype=torch.int64)


@pytest.fixture(scope="session")
def digit_images() -> tuple[Tensor, Tensor]:
    """The first 200 digits, which are not used for training."""
    images, labels = digits()
    return images[:200], labels[:200]


@pytest.fixture(scope="session")
def digit_net() -> nn.Module:
    """A convolutional network above 90 % accuracy on the held-out digits, in eval mode."""
    images, labels = (part[200:] for part in digits())
    with scoped_seed(0, "digit net"):
        model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 16, 10),
        )
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(4):
            for batch in torch.randperm(len(images)).split(64):
                optimizer.zero_grad()
                noisy = images[batch] + 0.1 * torch.randn_like(images[batch])
                cross_entropy(model(noisy), labels[batch]).mean().backward()
                optimizer.step()
    return model.eval()
