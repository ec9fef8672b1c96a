"""Models with infinite gradients or logits that are not finite: attacks keep their contract."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS
from rampart.threat import distance

NORMS = ["linf", "l2", "l1"]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("fgsm", {}),
    ("fgsm", {"start": "none"}),
    ("pgd", {"steps": 5}),
    ("pgd", {"steps": 5, "start": "none", "iterate": "best"}),
    ("pgd", {"steps": 5, "start": "gaussian", "iterate": "adversarial"}),
    ("apgd", {"steps": 10}),
    ("apgd", {"steps": 10, "loss": "dlr", "iterate": "adversarial"}),
    ("fab", {"steps": 10}),
    ("fab", {"steps": 5, "targets": 0, "restarts": 2}),
    ("square", {"queries": 20}),
    ("short", {"steps": 5, "targets": 2}),
    ("standard", {"steps": 5, "targets": 2, "queries": 5}),
    ("plus", {"steps": 5, "targets": 1, "queries": 5}),
    ("rand", {"steps": 5, "draws": 2}),
]
every_attack = pytest.mark.parametrize(
    "attack",
    [ATTACKS.build(name, {"norm": norm, **o}) for name, o in VARIANTS for norm in NORMS],
    ids=repr,
)
EPS = {"linf": 0.06, "l2": 0.4, "l1": 1.6}


class Rooted(nn.Module):
    """A classifier of digits whose first layer is sqrt(x + offset)."""

    def __init__(self, net: nn.Module, offset: float = 0.0) -> None:
        super().__init__()
        self.net, self.offset = net, offset

    def forward(self, images: Tensor) -> Tensor:
        root = (images + self.offset).sqrt()
        # The derivative at a black pixel is infinite, and nan where it meets that of the square.
        return self.net((root.square() - 0.3) / 0.7) + 1e-3 * root.mean((2, 3))


@pytest.fixture
def images(digit_images: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Digits in [0.3, 1] with one black pixel each, and their labels."""
    pixels, labels = digit_images
    pixels = 0.3 + 0.7 * pixels[:60]
    pixels[:, :, 0, 0] = 0.0
    return pixels, labels[:60]


def accuracy(model: nn.Module, points: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((model(points).argmax(1) == labels).double().mean())


def require_contract(attack: Attack, points: Tensor, images: Tensor, eps: float) -> None:
    assert points.isfinite().all()
    assert points.min() >= 0
    assert points.max() <= 1
    assert (distance(points, images, attack.norm) <= eps * (1 + 1e-5) + 1e-6).all()


@every_attack
def test_infinite_gradients_do_not_weaken_an_attack(attack, images, digit_net):
    pixels, labels = images
    eps = EPS[attack.norm]
    model, twin = Rooted(digit_net), Rooted(digit_net, 1e-6)
    points, smooth = (attack(one, pixels, labels, eps, 0) for one in (model, twin))
    require_contract(attack, points, pixels, eps)
    assert accuracy(model, points, labels) <= accuracy(twin, smooth, labels) + 0.02


@pytest.mark.parametrize("name", ["apgd", "fab", "pgd"])
def test_the_smooth_twin_is_not_an_easy_case(name, images, digit_net):
    """Otherwise the test above could not fail."""
    pixels, labels = images
    model, attack = Rooted(digit_net, 1e-6), ATTACKS.build(name, {"norm": "l2"})
    points = attack(model, pixels, labels, EPS["l2"], 0)
    assert accuracy(model, pixels, labels) > 0.8
    assert 0.25 < accuracy(model, points, labels) < 0.6


class Undefined(nn.Module):
    """Returns logits that are nan wherever the mean pixel is above that of the image."""

    def forward(self, images: Tensor) -> Tensor:
        logits = images.flatten(1)[:, :10] * torch.arange(10.0)
        return logits * (0.5 - images.mean((1, 2, 3), keepdim=True)[:, 0, 0]).sqrt()


@every_attack
@pytest.mark.parametrize("mean", [0.45, 0.9])
def test_points_are_finite_where_logits_are_not(attack, mean):
    pixels = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels = (pixels - pixels.mean((1, 2, 3), keepdim=True) + mean).clamp(0, 1)
    points = attack(Undefined(), pixels, torch.arange(6), EPS[attack.norm], 0)
    require_contract(attack, points, pixels, EPS[attack.norm])
