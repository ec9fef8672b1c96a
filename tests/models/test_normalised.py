import pytest
import torch
from torch import nn

from rampart.errors import InvalidArgument
from rampart.models.normalised import NormalisedModel


class Means(nn.Module):
    num_classes = 2

    def forward(self, x):
        return x.mean((2, 3))


def test_normalisation_belongs_to_the_model():
    model = NormalisedModel(Means(), [0.25, 0.5], [0.5, 0.25], image_size=4)
    images = torch.tensor([0.75, 0.25]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    torch.testing.assert_close(model(images), torch.tensor([[1.0, -1.0]]))
    assert (model.in_chans, model.num_classes, model.image_size) == (2, 2, 4)


def test_a_gradient_is_one_of_pixels():
    model = NormalisedModel(Means(), [0.0, 0.0], [0.5, 0.25], image_size=4)
    images = torch.rand(1, 2, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(images).sum(), images)
    torch.testing.assert_close(gradient[0, :, 0, 0], torch.tensor([2.0, 4.0]) / 16)


def test_constants_travel_with_the_model():
    model = NormalisedModel(Means(), [0.1], [0.2], image_size=4)
    assert {"mean", "std"} <= set(model.state_dict())
    assert not list(model.parameters())


def test_impossible_constants():
    with pytest.raises(InvalidArgument, match="2 values, as many as mean"):
        NormalisedModel(Means(), [0.1, 0.2], [0.2], image_size=4)
    with pytest.raises(InvalidArgument, match="above 0"):
        NormalisedModel(Means(), [0.1], [0.0], image_size=4)
