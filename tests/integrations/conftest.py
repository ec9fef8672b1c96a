import pytest
import torch
from torch.utils.data import TensorDataset

from rampart.runtime import Noise


@pytest.fixture(scope="session")
def dataset():
    """24 images of 3 classes, marked by a stripe, with their indices."""
    numbers = torch.arange(24)
    labels = numbers % 3
    images = 0.6 * Noise.of(0, numbers, "images").uniform(3, 16, 16)
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * label : 4 * label + 4] += 0.4
    return TensorDataset(images, labels, numbers)
