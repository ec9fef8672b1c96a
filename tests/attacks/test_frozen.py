import pytest
import torch
from torch import nn

from rampart.attacks.base import CountingModel
from rampart.attacks.frozen import frozen, module_of
from rampart.errors import ModelError


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


@pytest.mark.parametrize("mode", ["eval", "train", "unchanged"])
def test_buffers_that_the_model_assigns_anew_are_restored(mode) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls = self.calls + 1
            return images

    model = Counting()
    calls = model.calls
    with frozen(model, mode):
        model(torch.rand(2, 2))
        assert model.calls == 1
    assert model.calls is calls
    assert calls == 0


def test_a_network_with_lazy_layers_is_refused() -> None:
    with pytest.raises(ModelError, match="lazy layers without weights"), frozen(nn.LazyLinear(2)):
        pass
