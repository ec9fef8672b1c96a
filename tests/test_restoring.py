"""A network is restored after the block, also if the block fails."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from rampart.restoring import in_mode, restored, set_mode


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
