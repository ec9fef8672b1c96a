import pytest
import torch

import rampart
from rampart.devices import require_device
from rampart.errors import InvalidArgument


@pytest.fixture
def card(monkeypatch):
    """A machine with this many GPUs."""

    def pretend(count):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))

    return pretend


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "gpu", "meta", "mps", "cuda:x", ""])
def test_a_device_that_is_missing_is_refused_with_those_that_work(card, device):
    card(0)
    with pytest.raises(InvalidArgument, match="expected cpu here; .*cpu works") as caught:
        require_device(device)
    assert caught.value.name == "device"
    images, labels = torch.rand(6, 3, 4, 4), torch.arange(6) % 2
    with pytest.raises(InvalidArgument, match="cpu works without a GPU"):
        rampart.evaluate(torch.nn.Flatten(), (images, labels), "2/255", "apgd", device=device)


def test_a_device_that_is_there_is_taken(card):
    card(2)
    for device in ("cpu", "cuda", "cuda:1", torch.device("cuda", 0)):
        assert require_device(device) == torch.device(device)
    with pytest.raises(InvalidArgument, match="cpu or cuda:0 to 1 here"):
        require_device("cuda:2")
