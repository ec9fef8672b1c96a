"""FARE against a direct evaluation of its formula, and the gradients of each parameter."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rampart.attacks.base import CountingModel, Features
from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.losses import FeatureDistance
from rampart.models.backbones import build_model
from rampart.objectives.adversarial import Adversarial, StandardObjective, Trades
from rampart.objectives.fare import Fare
from rampart.objectives.mart import Mart
from rampart.runtime import Noise

EPS = 8 / 255
IMAGES = Noise.of(0, torch.arange(6), "test").uniform(1, 16, 16)
LABELS = torch.arange(6) % 4
BASES = {
    "standard": StandardObjective(),
    "adversarial": Adversarial(),
    "trades": Trades(beta=2.0),
    "mart": Mart(beta=2.0),
}


@pytest.fixture
def pretrained():
    return build_model("rampart_glyphnet", num_classes=4, pretrained=False, image_size=16).eval()


@pytest.fixture
def moved(pretrained):
    """The model after some training."""
    model = copy.deepcopy(pretrained)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            parameter += 0.1 * noise * parameter.std(correction=0)
    return model


def attack_on(model):
    """The function that the loop gives to an objective."""

    def perturb(images, targets, loss):
        seen = Features(model) if isinstance(loss, FeatureDistance) else model
        return Pgd(steps=2)(seen, images, targets, EPS, Noise.like(images), loss=loss)

    return perturb


def features_of(model, images):
    return model.backbone.forward_head(
        model.backbone.forward_features((images - model.mean) / model.std), pre_logits=True
    )


def gradients(model, loss):
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return dict(zip(parameters, found, strict=True))


def test_without_a_base_it_is_the_formula_and_the_head_learns_too(pretrained, moved):
    objective = Fare(weight=3.0).bind(pretrained)
    terms = objective(moved, IMAGES, LABELS, attack_on(moved))
    points = attack_on(moved)(IMAGES, features_of(pretrained, IMAGES).detach(), FeatureDistance())
    distance = (features_of(moved, points) - features_of(pretrained, IMAGES)).pow(2).sum(1)
    cross = F.cross_entropy(moved(points), LABELS, reduction="none")
    torch.testing.assert_close(terms.loss, cross + 3 * distance)
    ours = gradients(moved, terms.loss.sum())
    anchor, fit = gradients(moved, 3 * distance.sum()), gradients(moved, cross.sum())
    for name, gradient in ours.items():
        expected = fit[name] if "head" in name else anchor[name]
        torch.testing.assert_close(gradient, expected, msg=name)


@pytest.mark.parametrize("base", BASES)
def test_with_a_base_it_is_the_sum(base, pretrained, moved):
    beta = {"beta": 2.0} if base in ("trades", "mart") else {}
    objective = Fare(base=base, weight=0.5, **beta).bind(pretrained)
    terms = objective(moved, IMAGES, LABELS, attack_on(moved))
    made = []

    def kept(images, targets, loss):
        made.append(attack_on(moved)(images, targets, loss))
        return made[-1]

    alone = BASES[base](moved, IMAGES, LABELS, kept)
    anchor = features_of(pretrained, IMAGES).detach()
    points = made[0] if made else attack_on(moved)(IMAGES, anchor, FeatureDistance())
    distance = (features_of(moved, points) - anchor).pow(2).sum(1)
    torch.testing.assert_close(terms.loss, alone.loss + 0.5 * distance)
    assert torch.equal(terms.correct, moved(points).argmax(1) == LABELS)


@pytest.mark.parametrize("base", ["none", *BASES])
def test_before_the_first_step_and_without_attack_the_distance_is_0(base, pretrained):
    objective = Fare(base=base, weight=100.0).bind(pretrained)
    terms = objective(pretrained, IMAGES, LABELS, None)
    torch.testing.assert_close(
        terms.loss, StandardObjective()(pretrained, IMAGES, LABELS, None).loss
    )


def test_the_frozen_copy_does_not_change(pretrained, moved):
    model = copy.deepcopy(pretrained).train()
    objective = Fare(base="standard").bind(model)
    model.load_state_dict(moved.state_dict())
    terms = objective(model, IMAGES, LABELS, None)
    distance = (features_of(moved, IMAGES) - features_of(pretrained, IMAGES)).pow(2).sum(1)
    cross = F.cross_entropy(moved(IMAGES), LABELS, reduction="none")
    torch.testing.assert_close(terms.loss, cross + distance)
    assert distance.min() > 0
    assert model.training


@pytest.mark.parametrize(("base", "forwards", "backwards"), [("none", 1, 1), ("adversarial", 1, 1)])
def test_it_costs_one_pass_of_the_copy(base, forwards, backwards, pretrained):
    objective, model = Fare(base=base).bind(pretrained), CountingModel(pretrained)
    terms = objective(model, IMAGES, LABELS, attack_on(pretrained))
    terms.loss.sum().backward()
    assert terms.forwards == 6
    assert (model.forwards, model.backwards) == (6 * forwards, 6 * backwards)


@pytest.mark.parametrize("base", ["none", "adversarial"])
def test_terms_are_per_sample_and_fp32_under_autocast(base, pretrained):
    objective = Fare(base=base).bind(pretrained)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = objective(pretrained, IMAGES, LABELS, attack_on(pretrained))
    assert terms.loss.shape == terms.correct.shape == (6,)
    assert terms.loss.dtype == torch.float32
    terms.loss.mean().backward()
    assert all(p.grad is not None for p in pretrained.parameters())


def test_it_must_be_bound(pretrained):
    with pytest.raises(ModelError, match=r"objective\.bind\(model\)"):
        Fare()(pretrained, IMAGES, LABELS, None)


def test_a_model_without_features_is_refused(pretrained):
    with pytest.raises(ModelError, match="NormalizedModel, got Linear"):
        Fare().bind(nn.Linear(2, 2))
    pretrained.backbone.forward_head = lambda x, pre_logits=False: x.sum((2, 3))[:, :3]
    with pytest.raises(ModelError, match="features"):
        Fare().bind(pretrained)


@pytest.mark.parametrize(
    "options", [{"weight": 0.0}, {"weight": float("inf")}, {"beta": -1, "base": "mart"}]
)
def test_impossible_weights_are_refused(options):
    with pytest.raises(InvalidArgument):
        Fare(**options)


def test_an_unknown_base_is_refused():
    with pytest.raises(UnknownName, match="did you mean trades"):
        Fare(base="trade")
