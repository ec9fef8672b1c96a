import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from rampart.errors import InvalidArgument, ModelError
from rampart.models.backbones import build_model
from rampart.models.given import own_model
from rampart.models.normalized import NormalizedModel
from rampart.models.own import OwnBackbone, load_own
from rampart.models.saving import save_model
from rampart.models.weights import parameter_groups

SIZE = (3, 4, 4)


def net(classes: int = 5) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, classes))


class Wrapped(nn.Module):
    """Returns its logits in an object, as transformers does."""

    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, images):
        return SimpleNamespace(logits=self.net(images))


@pytest.mark.parametrize("module", [net(), Wrapped()])
def test_it_is_loaded_from_its_folder(module, tmp_path):
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    model = own_model(module, num_classes=5, input_size=SIZE, mean=mean, std=std)
    save_model(model, tmp_path, list("abcde"))
    assert load_file(tmp_path / "model.safetensors").keys() == module.state_dict().keys()
    with torch.no_grad():
        next(module.parameters()).zero_()
    images = torch.rand(2, *SIZE)
    read = load_own(tmp_path, module)
    assert read(images).equal(model(images))
    # The module may come in the wrapper that it was trained in.
    wrapped = own_model(module, num_classes=5, input_size=SIZE)
    assert load_own(tmp_path, wrapped)(images).equal(model(images))
    assert not read(images).equal(own_model(module, num_classes=5, input_size=SIZE)(images))
    described = json.loads((tmp_path / "config.json").read_text())
    assert described["module"].endswith(type(module).__qualname__)
    assert described["label_names"] == list("abcde")


def test_without_a_mean_its_input_is_pixels():
    module, images = net(), torch.rand(2, *SIZE)
    assert own_model(module, num_classes=5, input_size=SIZE)(images).equal(module(images))


def test_the_last_linear_layer_is_the_head_if_it_returns_the_logits():
    model = own_model(net(), num_classes=5, input_size=SIZE)
    assert [name for name, _ in parameter_groups(model)[1]] == [
        "backbone.module.3.weight",
        "backbone.module.3.bias",
    ]
    other = nn.Sequential(nn.Flatten(), nn.Linear(48, 10), nn.Unflatten(1, (5, 2)), Mean())
    assert parameter_groups(own_model(other, num_classes=5, input_size=SIZE))[1] == []


class Mean(nn.Module):
    def forward(self, values):
        return values.mean(2)


def test_a_model_with_its_normalization_keeps_it():
    built = build_model("rampart_glyphnet", num_classes=5)
    images = torch.rand(2, 1, 16, 16)
    model = own_model(built, num_classes=5, input_size=(1, 16, 16))
    assert not isinstance(model.backbone, OwnBackbone), "timm can build it"
    assert torch.equal(model.eval()(images), built.eval()(images))
    wrapped = NormalizedModel(net(), (0.5,) * 3, (0.1,) * 3, 4)
    assert isinstance(own_model(wrapped, num_classes=5, input_size=SIZE).backbone, OwnBackbone)
    with pytest.raises(InvalidArgument, match="mean"):
        own_model(wrapped, num_classes=5, input_size=SIZE, mean=(0, 0, 0), std=(1, 1, 1))


def test_weights_of_another_architecture_are_refused(tmp_path):
    save_model(own_model(net(), num_classes=5, input_size=SIZE), tmp_path, list("abcde"))
    with pytest.raises(ModelError, match="another shape"):
        load_own(tmp_path, net(classes=4))
    with pytest.raises(ModelError, match="config.json"):
        load_own(tmp_path / "nothing", net())
