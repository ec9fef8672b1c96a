"""A small trained network, and wrappers that leave its predictions and bend its margins."""

import torch
from torch import Tensor, nn

from rampart.data.splits import Split
from rampart.losses import cross_entropy
from rampart.runtime import scoped_seed

CLASSES = 4


def trained(seed: int, n: int) -> tuple[nn.Module, Split]:
    """Return a network and `n` images (3, 4, 4) of four classes."""
    with scoped_seed(seed):
        labels = torch.arange(n + 200) % CLASSES
        centers = 0.5 + 0.15 * torch.randn(CLASSES, 3, 4, 4)
        images = (centers[labels] + 0.1 * torch.randn(len(labels), 3, 4, 4)).clamp(0, 1)
        model = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(20):
        optimizer.zero_grad()
        cross_entropy(model(images[n:]), labels[n:]).mean().backward()
        optimizer.step()
    return model.eval(), Split.of_tensors((255 * images[:n]).round() / 255, labels[:n])


class Power(nn.Module):
    """Margins to a power: far from the boundary they hardly change, so projections mislead."""

    def __init__(self, model: nn.Module, power: float) -> None:
        super().__init__()
        self.model, self.power = model, power

    def forward(self, images: Tensor) -> Tensor:
        logits = self.model(images)
        behind = logits.amax(1, keepdim=True) - logits
        return -((behind + 1e-12) ** self.power)


class Squashed(nn.Module):
    """Logits through a tanh that is nearly saturated."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return torch.tanh(self.model(images) / 4)


class Rippled(nn.Module):
    """A sine on the pixels that masks the gradient."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images + 0.01 * torch.sin(800 * images))


SUBJECTS = {
    "healthy": lambda model: model,
    "power 0.1": lambda model: Power(model, 0.1),
    "power 0.3": lambda model: Power(model, 0.3),
    "squashed": Squashed,
    "rippled": Rippled,
}
