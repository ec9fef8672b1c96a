from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rampart.attacks.pgd import Fgsm, Pgd
from rampart.errors import InvalidArgument, UnknownName
from rampart.losses import cross_entropy
from rampart.threat import distance

Digits = tuple[Tensor, Tensor]


def towards_one(images: Tensor) -> Tensor:
    """Two logits; the loss of class 0 rises with every pixel."""
    return torch.stack([-images.flatten(1).sum(1), images.flatten(1).sum(1)], dim=1)


def gray(n: int = 3) -> tuple[Tensor, Tensor]:
    return torch.full((n, 1, 2, 2), 0.5), torch.zeros(n, dtype=torch.int64)


def moved(attack: Any, eps: float) -> float:
    images, labels = gray(1)
    return float((attack(towards_one, images, labels, eps, 0) - images).amax())


@pytest.mark.parametrize("eps", [0.02, 0.1, 0.3])
def test_a_relative_step_follows_eps(eps: float) -> None:
    one = Pgd(steps=1, step_size=0.4, start="none")
    assert moved(one, eps) == pytest.approx(0.4 * eps, rel=1e-5)
    default = Pgd(steps=10, start="none")
    assert moved(default, eps) == pytest.approx(eps, rel=1e-5)
    assert moved(Pgd(steps=1, step_size="0.4", start="none"), eps) == moved(one, eps)


@pytest.mark.parametrize("eps", [0.02, 0.1, 0.3])
def test_an_absolute_step_is_independent_of_eps(eps: float) -> None:
    attack = Pgd(steps=2, step_size="2/255", step_rule="absolute", start="none")
    assert moved(attack, eps) == pytest.approx(min(4 / 255, eps), rel=1e-4)


def test_fgsm_takes_one_step_of_one_and_a_quarter_eps() -> None:
    images, labels = gray(50)
    result = Fgsm()(towards_one, images, labels, 0.1, 0)
    # From δ in [-eps, eps], δ + 1.25 eps is clipped at eps: between 0.25 eps and eps.
    assert ((result - images) >= 0.025 - 1e-6).all()
    assert distance(result, images, "linf").max() == pytest.approx(0.1, abs=1e-6)
    assert (result - images).min() < 0.05
    assert moved(Fgsm(start="none"), 0.1) == pytest.approx(0.1)


def test_starts() -> None:
    """One tiny step shows where PGD started."""
    images, labels = gray(2000)

    def offsets(start: Any) -> Tensor:
        attack = Pgd(steps=1, step_size=1e-6, start=start)
        return attack(towards_one, images, labels, 0.1, 0) - images

    assert offsets("none").abs().max() < 1e-6
    assert offsets("gaussian").std() == pytest.approx(0.001, rel=0.05)
    assert offsets("uniform").std() == pytest.approx(0.1 / 3**0.5, rel=0.05)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_more_steps_find_a_higher_loss(
    digit_net: nn.Module, digit_images: Digits, norm: str
) -> None:
    images, labels = digit_images
    eps = 0.1 if norm == "linf" else 0.6
    attacks = [Fgsm(norm=norm), Pgd(norm=norm, steps=10), Pgd(norm=norm, steps=10, iterate="best")]
    with torch.no_grad():
        points = [attack(digit_net, images, labels, eps, 0) for attack in attacks]
        losses = [float(cross_entropy(digit_net(x), labels).mean()) for x in points]
    assert losses[0] < losses[1] <= losses[2] + 1e-6


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, InvalidArgument, "steps=0"),
        ({"step_size": 0.0}, InvalidArgument, "step_size=0.0"),
        ({"step_size": "1/255"}, InvalidArgument, "step_size=1/255.*step_rule"),
        ({"step_rule": "absolute"}, InvalidArgument, "step_size=None.*1/255"),
        ({"step_rule": "absolute", "step_size": 2}, InvalidArgument, "step_size=2.*write 2/255"),
        ({"step_rule": "fixed"}, UnknownName, "step_rule"),
        ({"start": "random"}, UnknownName, "start"),
        ({"restarts": 2}, InvalidArgument, "restarts=2.*iterate 'last'"),
        ({"restarts": 2, "start": "none", "iterate": "best"}, InvalidArgument, "restarts=2.*none"),
        ({"iterate": "first"}, UnknownName, "iterate"),
    ],
)
def test_impossible_options_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Pgd(**options)
    with pytest.raises(InvalidArgument, match="step_size"):
        Fgsm(step_size=-1.0)
