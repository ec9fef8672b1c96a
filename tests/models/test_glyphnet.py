import pytest
import timm
import torch
from torch import nn

from rampart.errors import InvalidArgument
from rampart.models.glyphnet import GlyphNet


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_size_and_shapes():
    network = GlyphNet(num_classes=10)
    assert count(network) == 77_514
    assert count(network.get_classifier()) == 650
    images = torch.rand(2, 1, 16, 16)
    features = network.forward_features(images)
    assert features.shape == (2, 64, 4, 4)
    assert network.forward_head(features, pre_logits=True).shape == (2, 64)
    assert torch.equal(network.forward_head(features), network(images))


@pytest.mark.parametrize(("norm", "kind"), [("group", nn.GroupNorm), ("batch", nn.BatchNorm2d)])
def test_norm(norm, kind):
    network = timm.create_model("rampart_glyphnet", norm=norm, num_classes=5)
    kinds = {type(m) for m in network.modules() if isinstance(m, nn.GroupNorm | nn.BatchNorm2d)}
    assert kinds == {kind}


def test_timm_knows_it():
    network = timm.create_model("rampart_glyphnet")
    assert network.num_classes == 149
    assert network.pretrained_cfg["input_size"] == (1, 16, 16)
    network.reset_classifier(0)
    assert network(torch.rand(2, 1, 16, 16)).shape == (2, 64)


@pytest.mark.parametrize("wrong", [{"norm": "layer"}, {"global_pool": "max"}])
def test_impossible_options(wrong):
    with pytest.raises(InvalidArgument):
        GlyphNet(**wrong)
