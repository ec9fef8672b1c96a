import pytest
import torch
from torch import nn

from rampart.errors import InvalidArgument, ModelError
from rampart.models.normalized import NormalizedModel
from rampart.runtime import scoped_seed


class Means(nn.Module):
    num_classes = 2

    def forward(self, x):
        return x.mean((2, 3))


def test_normalization_is_part_of_the_model():
    model = NormalizedModel(Means(), [0.25, 0.5], [0.5, 0.25], image_size=4)
    images = torch.tensor([0.75, 0.25]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    torch.testing.assert_close(model(images), torch.tensor([[1.0, -1.0]]))
    assert (model.in_chans, model.num_classes, model.image_size) == (2, 2, 4)


def test_the_gradient_refers_to_pixels():
    model = NormalizedModel(Means(), [0.0, 0.0], [0.5, 0.25], image_size=4)
    images = torch.rand(1, 2, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(images).sum(), images)
    torch.testing.assert_close(gradient[0, :, 0, 0], torch.tensor([2.0, 4.0]) / 16)


def test_mean_and_std_move_with_the_model():
    model = NormalizedModel(Means(), [0.1], [0.2], image_size=4)
    assert {"mean", "std"} <= set(model.state_dict())
    assert not list(model.parameters())


def test_impossible_mean_and_std():
    with pytest.raises(InvalidArgument, match="std="):
        NormalizedModel(Means(), [0.1, 0.2], [0.2], image_size=4)
    with pytest.raises(InvalidArgument, match="above 0"):
        NormalizedModel(Means(), [0.1], [0.0], image_size=4)


def with_batch_norm():
    with scoped_seed(0):
        layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5))
        return NormalizedModel(nn.Sequential(*layers, nn.Linear(144, 2)), [0.5] * 3, [0.2] * 3, 8)


def test_frozen_statistics_do_not_change_in_train_mode():
    model = with_batch_norm()
    model.freeze_statistics()
    before = {name: value.clone() for name, value in model.named_buffers()}
    dropout, norm = model.backbone[3], model.backbone[1]
    for mode in (True, False, True):
        model.train(mode)
        model(torch.rand(4, 3, 8, 8))
        assert (model.training, dropout.training, norm.training) == (mode, mode, False)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert norm.weight.requires_grad


def test_a_model_without_batch_norm_is_refused():
    model = NormalizedModel(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), [0.5] * 3, [0.2] * 3, 2)
    with pytest.raises(ModelError, match="batch_norm"):
        model.freeze_statistics()
