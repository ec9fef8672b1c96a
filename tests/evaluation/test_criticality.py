"""Criticality against the maximum over a fine grid, first order, and what it must not change."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rampart.attacks.base import CountingModel
from rampart.evaluation.criticality import (
    ascend,
    layers_in_use,
    layers_with_weights,
    module_criticality,
    project,
    score,
)
from rampart.runtime import scoped_seed


class Tiny(nn.Module):
    """Two layers of two weights each, so that their worst change is found on a grid."""

    def __init__(self):
        super().__init__()
        self.narrow = nn.Linear(2, 1, bias=False)
        self.wide = nn.Linear(1, 2, bias=False)
        self.norm = nn.BatchNorm1d(1)

    def forward(self, images):
        return self.wide(torch.tanh(self.norm(self.narrow(images.flatten(1)))))


def tiny(seed):
    with scoped_seed(seed):
        model = Tiny().eval()
        images = torch.rand(12, 1, 1, 2)
        labels = torch.arange(12) % 2
        examples = [(images[:5], labels[:5]), (images[5:], labels[5:])]
    return model, images, labels, examples


def highest_on_grid(model, layer, images, labels, radius):
    """Return the largest loss over 40 x 180 points of the ball."""
    center = model.get_parameter(f"{layer}.weight").detach()
    length, angle = torch.meshgrid(
        torch.linspace(0, radius, 41)[1:], torch.linspace(0, 2 * math.pi, 181)[1:], indexing="ij"
    )
    points = center + torch.stack([length * angle.cos(), length * angle.sin()], -1).view(
        -1, *center.shape
    )

    def loss_at(weight):
        logits = torch.func.functional_call(model, {f"{layer}.weight": weight}, (images,))
        return cross_entropy(logits, labels)

    return float(torch.func.vmap(loss_at)(points).detach().max())


@pytest.mark.parametrize("layer", ["narrow", "wide"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_ascent_finds_the_maximum_over_a_grid(seed, layer):
    model, images, labels, examples = tiny(seed)
    weight = layers_with_weights(model)[layer]
    radius = 0.4 * float(weight.detach().norm())
    most = highest_on_grid(model, layer, images, labels, radius)
    before = score(model, examples).loss
    found = module_criticality(model, layer, weight, examples, radius=0.4, steps=20)
    assert most - before > 1e-3, "there is something to find"
    assert found.increase == pytest.approx(most - before, rel=0.01)
    assert found.weights == 2


def test_a_small_change_raises_the_loss_by_its_gradient():
    model, images, labels, examples = tiny(2)
    loss = cross_entropy(model(images), labels)
    (gradient,) = torch.autograd.grad(loss, model.narrow.weight)
    radius = 1e-3 * float(model.narrow.weight.detach().norm())
    one = module_criticality(model, "narrow", model.narrow.weight, examples, radius=1e-3)
    assert one.increase == pytest.approx(radius * float(gradient.norm()), rel=0.02)


def test_it_takes_two_passes_for_each_step_and_three_beside():
    model, images, _, examples = tiny(2)
    counting = CountingModel(model)
    trained = score(model, examples)
    module_criticality(counting, "narrow", model.narrow.weight, examples, steps=4, trained=trained)
    assert (counting.forwards, counting.backwards) == (6 * len(images), 5 * len(images))


def test_more_steps_never_find_less_and_stay_in_the_ball():
    def loss_at(point):
        asked = point.detach().requires_grad_()
        loss = (3 * asked[0]).sin() + (7 * asked[1]).cos() + asked.prod()
        return float(loss.detach()), torch.autograd.grad(loss, asked)[0]

    start, highest = torch.tensor([0.3, -0.2]), -math.inf
    for steps in range(12):
        point, loss = ascend(loss_at, start, 0.8, steps)
        assert loss >= highest
        assert loss == loss_at(point)[0]
        assert float((point - start).norm()) <= 0.8 * (1 + 1e-6)
        highest = loss
    assert highest > loss_at(start)[0]


@pytest.mark.parametrize("gradient", [0.0, math.nan, math.inf])
def test_without_a_usable_gradient_the_start_is_returned(gradient):
    start = torch.ones(2)
    point, loss = ascend(lambda _: (1.5, torch.full((2,), gradient)), start, 1.0, 5)
    assert point.equal(start)
    assert loss == 1.5


def test_projection_returns_the_nearest_point_of_the_ball():
    center, inside = torch.tensor([1.0, 1.0]), torch.tensor([1.3, 0.6])
    assert project(inside, center, 0.5).equal(inside)
    torch.testing.assert_close(
        project(torch.tensor([4.0, 5.0]), center, 0.5), torch.tensor([1.3, 1.4])
    )
    assert project(inside, center, 0.0).equal(center)


def test_the_model_is_left_as_it_was():
    model, _, _, examples = tiny(3)
    model.train()
    model.wide.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for name, weight in layers_with_weights(model).items():
        module_criticality(model, name, weight, examples, radius=0.5)
    layers_in_use(model, layers_with_weights(model), examples[0][0])
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert model.norm.training
    assert [p.requires_grad for p in model.parameters()] == [True, False, True, True]
    assert all(p.grad is None for p in model.parameters())


def test_the_score_is_that_of_all_examples():
    model, images, labels, examples = tiny(4)
    found, logits = score(model, examples), model(images).detach()
    assert found.loss == pytest.approx(float(cross_entropy(logits, labels)))
    assert found.accuracy == float((logits.argmax(1) == labels).float().mean())


def test_layers_are_those_with_a_matrix_that_is_not_zero():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)
            self.norm = nn.GroupNorm(1, 2)
            self.head = nn.Linear(2, 2)
            self.zero = nn.Linear(2, 2)
            self.tied = nn.Linear(2, 2)
            self.pretraining = nn.Linear(2, 2)
            self.tied.weight = self.head.weight
            nn.init.zeros_(self.zero.weight)

        def forward(self, images):
            return self.tied(self.zero(self.head(self.norm(self.conv(images)).mean((2, 3)))))

    net = Net()
    found = layers_with_weights(net)
    assert list(found) == ["conv", "head", "pretraining"]
    assert list(layers_in_use(net, found, torch.ones(1, 1, 2, 2))) == ["conv", "head"]
