"""A network is restored after the block, also if the block fails."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from rampart.restoring import in_mode, restored


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
