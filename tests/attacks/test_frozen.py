import torch
from torch import nn

from rampart.attacks.base import CountingModel
from rampart.attacks.frozen import frozen, module_of


def test_a_module_is_found_behind_wrappers() -> None:
    layer = nn.Linear(2, 2)
    assert module_of(layer) is layer
    assert module_of(CountingModel(CountingModel(layer))) is layer
    assert module_of(lambda images: layer(images)) is None


def test_blocks_nest() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)).train()
    images = torch.rand(8, 2)
    with frozen(model, "eval"):
        assert not model[0].training
        with frozen(model, "train"):
            assert model[0].training
            model(images)
            assert model[0].num_batches_tracked == 1
        assert not model[0].training
        assert not model[1].weight.requires_grad
        assert model[0].num_batches_tracked == 0
    assert model[0].training
    assert model[1].weight.requires_grad


def test_a_plain_function_is_accepted() -> None:
    with frozen(lambda images: images, "train"):
        pass
