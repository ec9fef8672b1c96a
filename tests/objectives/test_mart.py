"""MART against a direct evaluation of its formula, in double precision."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rampart.errors import InvalidArgument
from rampart.losses import Loss
from rampart.objectives.mart import Mart

LABELS = torch.tensor([0, 1, 2, 2, 0])
CLEAN = 3 * torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ATTACKED = 3 * torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Logits:
    """A model whose images are its logits; perturbing returns the logits under attack."""

    def __init__(self) -> None:
        self.clean = CLEAN.clone().requires_grad_()
        self.attacked = ATTACKED.clone().requires_grad_()
        self.asked: list[Loss | None] = []

    def __call__(self, images: Tensor) -> Tensor:
        return images

    def perturb(self, images: Tensor, targets: Tensor, loss: Loss | None) -> Tensor:
        self.asked.append(loss)
        return self.attacked


def direct(clean: Tensor, attacked: Tensor, beta: float, smoothing: float) -> Tensor:
    """Equation 11 from probabilities, as printed."""
    p, q = clean.softmax(1), attacked.softmax(1)
    own = F.one_hot(LABELS, 3).bool()
    rival = q.masked_fill(own, 0).amax(1)
    boosted = F.cross_entropy(attacked, LABELS, reduction="none", label_smoothing=smoothing)
    boosted = boosted - (1 - rival).log()
    divergence = (p * (p / q).log()).sum(1)
    return boosted + beta * divergence * (1 - p[own])


@pytest.mark.parametrize("beta", [0.0, 5.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_formula_and_its_gradient(beta: float, smoothing: float) -> None:
    model, other = Logits(), Logits()
    ours = Mart(beta=beta, label_smoothing=smoothing)(model, model.clean, LABELS, model.perturb)
    theirs = direct(other.clean, other.attacked, beta, smoothing)
    torch.testing.assert_close(ours.loss, theirs)
    ours.loss.sum().backward()
    theirs.sum().backward()
    torch.testing.assert_close(model.attacked.grad, other.attacked.grad)
    if beta:
        torch.testing.assert_close(model.clean.grad, other.clean.grad)
    assert model.asked == [None], "the attack keeps its own loss"


def test_a_sure_model_has_a_finite_loss_and_gradient() -> None:
    model = Logits()
    images = (torch.tensor([[0.0, 200.0, 0.0]]) * torch.ones(5, 1)).requires_grad_()
    terms = Mart()(model, images, LABELS, lambda *_: images)
    terms.loss.sum().backward()
    assert terms.loss.isfinite().all()
    assert images.grad is not None
    assert images.grad.isfinite().all()


@pytest.mark.parametrize("beta", [-1.0, float("inf"), float("nan")])
def test_impossible_weights_are_refused(beta: float) -> None:
    with pytest.raises(InvalidArgument, match="beta"):
        Mart(beta=beta)
