"""A network is restored after the block, also if the block fails."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from rampart.restoring import in_mode, restored, restored_buffers, set_mode


@pytest.mark.parametrize("training", [True, False])
def test_every_submodule_gets_its_own_mode_back(training):
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2)))
    network[1].eval()
    before = [part.training for part in network.modules()]
    with suppress(ZeroDivisionError), in_mode(network, training):
        within = {part.training for part in network.modules()}
        raise ZeroDivisionError
    assert within == {training}
    assert [part.training for part in network.modules()] == before


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_exported_program_keeps_its_mode_and_fails_nothing(wrapped):
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.9)).eval()
    points = torch.ones(3, 2)
    program = torch.export.export(network, (points,)).module()
    model = nn.Sequential(nn.Dropout(0.9), program) if wrapped else program
    set_mode(model, training=False)
    assert not any(part.training for part in model.modules())
    with in_mode(model, training=True):
        assert model.training
        torch.testing.assert_close(program(points), network(points))
    torch.testing.assert_close(model(points), network(points))


def test_values_are_restored_in_the_same_tensors():
    network = nn.BatchNorm1d(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with suppress(ZeroDivisionError), restored([*network.parameters(), *network.buffers()]):
        with torch.no_grad():
            network.weight.mul_(3)
        network(torch.randn(4, 2))
        changed = not network.running_mean.equal(before["running_mean"])
        raise ZeroDivisionError
    assert changed
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())


class Counting(nn.Module):
    """Changes its buffers at every call, in both modes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("assigned", torch.zeros(1))
        self.register_buffer("in_place", torch.zeros(1))
        self.norm = nn.BatchNorm1d(2)

    def forward(self, images):
        self.assigned = self.assigned + images.mean()
        self.in_place += 1
        return self.norm(images)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("script", [True, False])
def test_buffers_are_restored_also_those_assigned_anew(training, script):
    network = torch.jit.script(Counting()) if script else Counting()
    network.train(training)
    tensors = dict(network.named_buffers())
    values = {name: tensor.clone() for name, tensor in tensors.items()}
    with suppress(ZeroDivisionError), restored_buffers(network, same_mode=True):
        network(torch.ones(4, 2))
        changed = not network.assigned.equal(values["assigned"])
        raise ZeroDivisionError
    assert changed
    now = dict(network.named_buffers())
    assert now.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert now[name] is tensor
        assert tensor.equal(values[name])


def test_a_buffer_that_appears_or_goes_in_the_block_is_restored():
    network = nn.BatchNorm1d(2)
    mean = network.running_mean
    with restored_buffers(network):
        network.register_buffer("other", torch.ones(1))
        del network.running_mean
    assert network.running_mean is mean
    assert set(dict(network.named_buffers())) == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_a_batch_norm_that_changes_its_mode_in_the_block_is_restored():
    network = nn.BatchNorm1d(2).eval()
    with restored_buffers(network):
        network.train()
        network(torch.ones(4, 2))
    assert not network.num_batches_tracked
