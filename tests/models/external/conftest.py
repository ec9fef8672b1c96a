import pytest
import torch
from torch import nn


@pytest.fixture
def network():
    """A small network of 3 x 8 x 8 pixels with 4 classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 4)).eval()


@pytest.fixture
def pixels():
    """Seven images of 3 x 8 x 8 pixels."""
    return torch.rand(7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
