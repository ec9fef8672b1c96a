"""Gradient ascent against the closed form: linear models away from the pixel box."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import linear_critical_eps, linear_model, searched_critical_eps
from rampart.attacks.base import Attack
from rampart.attacks.catalogue import ATTACKS

NORMS = ["linf", "l2"]
# One step of FGSM cannot undo a random start, so it starts at the image.
OPTIONS: dict[str, dict[str, Any]] = {
    "fgsm": {"start": "none"},
    # Shorter steps would not reach the pole of the L2 ball from a random point.
    "pgd": {"steps": 30, "step_size": 0.3, "iterate": "adversarial"},
    "apgd": {"steps": 20, "iterate": "adversarial"},
}


def problem(classes: int) -> tuple[nn.Module, Tensor, Tensor, Tensor, Tensor]:
    """A linear model, images near mid-gray, and labels that the model gives them."""
    generator = torch.Generator().manual_seed(classes)
    weight = torch.randn(classes, 12, generator=generator, dtype=torch.float64)
    bias = 0.1 * torch.randn(classes, generator=generator, dtype=torch.float64)
    bias -= 0.5 * weight.sum(1)
    images = 0.5 + 0.05 * torch.randn(10, 3, 2, 2, generator=generator, dtype=torch.float64)
    model = linear_model(weight, bias)
    return model, weight, bias, images, model(images).argmax(1)


def critical(
    attack: Attack, model: nn.Module, images: Tensor, targets: Tensor, expected: Tensor
) -> Tensor:
    """The smallest strength at which the attack succeeds, within 20 % of `expected`."""

    def breaks(eps: Tensor) -> Tensor:
        labels = targets if targets.ndim == 1 else targets[:, 0]
        return model(attack(model, images, targets, eps, 0)).argmax(1) != labels

    return searched_critical_eps(breaks, 0.8 * expected, 1.2 * expected)


def with_loss(name: str, norm: str, loss: str) -> Attack:
    options = {**OPTIONS[name], "norm": norm, "loss": loss}
    if loss == "kl":
        # The divergence also rises away from the boundary, where about half of the starts go.
        options["restarts"] = 12
    return ATTACKS.build(name, options)


def test_the_closed_form_is_the_smallest_strength() -> None:
    """Checks the closed form by moving along the worst direction to the nearest class."""
    model, weight, bias, images, labels = problem(2)
    for norm in NORMS:
        eps = linear_critical_eps(weight, bias, images, labels, norm).view(-1, 1)
        rise = weight[1 - labels] - weight[labels]
        unit = rise.sign() if norm == "linf" else rise / rise.norm(dim=1, keepdim=True)
        for factor, moved in ((0.999, False), (1.001, True)):
            points = images + (factor * eps * unit).view_as(images)
            assert ((model(points).argmax(1) != labels) == moved).all()


@pytest.mark.parametrize("loss", ["ce", "dlr", "margin", "kl", "targeted-ce", "targeted-dlr"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", list(OPTIONS))
def test_critical_strength_with_two_classes(name: str, norm: str, loss: str) -> None:
    """With two classes every loss rises along the one difference of weights."""
    if (name, loss) == ("fgsm", "kl"):
        pytest.skip("at the image itself the divergence has no gradient")
    model, weight, bias, images, labels = problem(2)
    targets = torch.stack([labels, 1 - labels], 1) if loss.startswith("targeted") else labels
    expected = linear_critical_eps(weight, bias, images, labels, norm)
    found = critical(with_loss(name, norm, loss), model, images, targets, expected)
    assert 0 < expected.min() <= expected.max() < 0.4
    assert (found >= expected - 1e-5).all()
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "fgsm"])
def test_critical_strength_over_all_targets(name: str, norm: str) -> None:
    """With several classes the worst target of the targeted loss gives the closed form.

    Not for FGSM: the ratio bends, and one gradient at the image does not point to the end.
    """
    model, weight, bias, images, labels = problem(4)
    expected = linear_critical_eps(weight, bias, images, labels, norm)
    runs = []
    for shift in range(1, 4):
        targets = torch.stack([labels, (labels + shift) % 4], dim=1)
        attack = with_loss(name, norm, "targeted-dlr")
        runs.append(critical(attack, model, images, targets, expected))
    found = torch.stack(runs).amin(0)
    assert (found >= expected - 1e-5).all()
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("loss", ["ce", "dlr", "margin"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", list(OPTIONS))
def test_no_attack_beats_the_closed_form(name: str, norm: str, loss: str) -> None:
    model, weight, bias, images, labels = problem(4)
    expected = linear_critical_eps(weight, bias, images, labels, norm)
    attack = with_loss(name, norm, loss)
    points = attack(model, images, labels, 0.999 * expected, 0)
    assert (model(points).argmax(1) == labels).all()
