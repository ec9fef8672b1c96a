"""Norm and direction of the perturbation, and the resulting gradient."""

import copy

import pytest
import torch
from torch import nn

from rampart.errors import InvalidArgument
from rampart.runtime import scoped_seed
from rampart.training.callbacks.awp import Awp, perturbed_weights, worst

GAMMA = 0.01


@pytest.fixture
def model():
    with scoped_seed(0):
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))


@pytest.fixture
def images():
    with scoped_seed(1):
        return torch.rand(5, 1, 4, 4)


def loss(model, images):
    return model(images).logsumexp(1).sum()


def test_every_layer_moves_by_gamma_of_its_norm_along_the_gradient(model, images):
    before = copy.deepcopy(model)
    loss(model, images).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    with perturbed_weights(model, GAMMA):
        assert all(p.grad is None for p in model.parameters())
        for (name, moved), (_, own) in zip(
            model.named_parameters(), before.named_parameters(), strict=True
        ):
            change = (moved - own).detach()
            if own.ndim == 1:
                assert not change.any(), "biases and scales of normalization stay"
                continue
            torch.testing.assert_close(change.norm(), GAMMA * own.detach().norm())
            cosine = torch.cosine_similarity(change.flatten(), gradients[name].flatten(), dim=0)
            assert float(cosine) == pytest.approx(1, abs=1e-4)
    for moved, own in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(moved, own)


def test_the_weights_are_restored_after_an_error(model, images):
    before = copy.deepcopy(model.state_dict())
    loss(model, images).backward()
    after = {k: v for k, v in model.state_dict().items() if "running" not in k}
    with pytest.raises(MemoryError), perturbed_weights(model, GAMMA):
        raise MemoryError
    assert all(
        torch.equal(value, before[name]) for name, value in after.items() if "num" not in name
    )


@pytest.mark.parametrize("gradient", [torch.zeros(2, 2), torch.full((2, 2), torch.inf)])
def test_a_zero_or_infinite_gradient_moves_nothing(gradient):
    assert not worst(torch.ones(2, 2), gradient, GAMMA).any()


def test_the_hook_computes_the_gradient_at_the_perturbed_weights(model, images):
    model.train()
    other = copy.deepcopy(model)
    Awp(GAMMA).begin(model).around(model, lambda: loss(model, images).backward(), 0.1)
    loss(other, images).backward()
    moved = copy.deepcopy(other)
    with torch.no_grad():
        for parameter, own in zip(moved.parameters(), other.parameters(), strict=True):
            if own.ndim > 1:
                parameter += GAMMA * own.norm() / own.grad.norm() * own.grad
    moved.zero_grad()
    loss(moved, images).backward()
    for ours, theirs in zip(model.parameters(), moved.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    assert int(model[1].num_batches_tracked) == 1, "the first pass does not change statistics"


def test_without_an_attack_it_costs_nothing(model):
    calls = []
    Awp().begin(model).around(model, lambda: calls.append(1), 0.0)
    assert calls == [1]


@pytest.mark.parametrize("gamma", [0.0, 1.0, -0.1])
def test_impossible_sizes(gamma):
    with pytest.raises(InvalidArgument, match="gamma"):
        Awp(gamma=gamma)


def test_the_weights_are_restored_if_moving_them_fails(model, images, monkeypatch):
    loss(model, images).backward()
    before, calls = copy.deepcopy(model.state_dict()), []

    def failing(weight, gradient, gamma):
        calls.append(weight)
        if len(calls) == 2:
            raise MemoryError
        return gradient

    monkeypatch.setattr("rampart.training.callbacks.awp.worst", failing)
    with pytest.raises(MemoryError), perturbed_weights(model, GAMMA):
        pass
    assert len(calls) == 2
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_parameter_that_is_not_a_layer_weight_stays(images):
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.place = nn.Parameter(torch.ones(1, 16))
            self.layer = nn.Linear(16, 3)

        def forward(self, images):
            return self.layer(images.flatten(1) + self.place)

    model = Shifted()
    before = copy.deepcopy(model.state_dict())
    loss(model, images).backward()
    with perturbed_weights(model, GAMMA):
        assert torch.equal(model.place, before["place"])
        assert not torch.equal(model.layer.weight, before["layer.weight"])


def test_the_first_pass_leaves_buffers_that_the_model_assigns_anew(model, images):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, images):
            self.calls = self.calls + 1
            return self.inner(images)

    network = Counting()
    Awp(GAMMA).begin(network).around(network, lambda: loss(network, images).backward(), 0.1)
    assert network.calls == 1
