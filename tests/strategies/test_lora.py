"""Adapters: which layers have one, which weights are trained, and merging."""

import pytest
import torch

from rampart import extras
from rampart.errors import InvalidArgument, RampartError
from rampart.models.backbones import build_model
from rampart.runtime import scoped_seed
from rampart.strategies.lora import Lora, list_adapted_layers

pytest.importorskip("peft")

MODELS = {
    "convolutions": ("rampart_glyphnet", {"norm": "batch"}),
    "grouped convolutions": ("test_efficientnet", {}),
    "attention": ("test_vit", {}),
    "standardized weights": ("test_nfnet", {}),
    "dilation": ("test_resnet", {"output_stride": 8}),
}


def build(name, options):
    return build_model(
        name, num_classes=3, pretrained=False, options={**options, "in_chans": 3}, image_size=32
    )


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return build(*request.param)


def images(model):
    with scoped_seed(3):
        return torch.rand(2, 3, model.image_size, model.image_size)


def test_new_adapters_do_not_change_the_outputs(model):
    model.eval()
    before = model(images(model))
    Lora(rank=2).prepare(model, 0)
    assert torch.equal(model.eval()(images(model)), before)


def test_only_adapters_and_the_head_are_trained(model):
    head = model.backbone.get_classifier()
    Lora(rank=2).prepare(model, 0)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    own = {name for name, p in model.named_parameters() if any(p is q for q in head.parameters())}
    assert own
    assert trained - own
    assert own <= trained
    assert all("lora_" in name for name in trained - own)
    sizes = {p.shape[0] for n, p in model.named_parameters() if n.endswith("lora_A.default.weight")}
    assert sizes == {2}


def test_the_finished_model_is_an_ordinary_one_with_the_same_outputs(model):
    plain = set(model.state_dict())
    Lora(rank=2, alpha=4.0).prepare(model, 0)
    with torch.no_grad(), scoped_seed(1):
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    adapters = model.eval()(images(model))
    keys = set(model.state_dict())
    merged = Lora(rank=2, alpha=4.0).finished(model)
    torch.testing.assert_close(merged.eval()(images(model)), adapters, atol=1e-4, rtol=1e-4)
    assert set(merged.state_dict()) == plain
    assert all(p.requires_grad for p in merged.parameters())
    assert set(model.state_dict()) == keys, "the model in training is left as it is"


def test_the_merged_weight_follows_the_formula():
    model = build(*MODELS["convolutions"])
    weight = model.backbone.blocks[0].conv1.weight.detach().clone()
    strategy = Lora(rank=2, alpha=6.0)
    strategy.prepare(model, 0)
    layer = model.backbone.blocks[0].conv1
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(b)
    product = torch.einsum("or,rihw->oihw", b[:, :, 0, 0], a)
    merged = strategy.finished(model).backbone.blocks[0].conv1.weight
    torch.testing.assert_close(merged, weight + 6.0 / 2 * product)


def test_grouped_convolutions_and_the_head_have_no_adapter():
    model = build(*MODELS["grouped convolutions"])
    names = list_adapted_layers(model)
    modules = dict(model.backbone.named_modules())
    assert names
    assert "classifier" not in names
    assert all(getattr(modules[name], "groups", 1) == 1 for name in names)


def test_adapters_depend_on_the_seed_alone():
    def adapters(seed):
        model = build(*MODELS["attention"])
        Lora(rank=2).prepare(model, seed)
        return torch.cat([p.flatten() for n, p in model.named_parameters() if "lora_A" in n])

    state = torch.random.get_rng_state()
    assert torch.equal(adapters(0), adapters(0))
    assert not torch.equal(adapters(0), adapters(1))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_missing_peft_names_the_extra(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(RampartError, match=r"pip install 'rampart-rft\[lora\]'"):
        Lora().prepare(build(*MODELS["convolutions"]), 0)


@pytest.mark.parametrize("options", [{"rank": 0}, {"alpha": 0.0}, {"dropout": 1.0}])
def test_impossible_options(options):
    with pytest.raises(InvalidArgument):
        Lora(**options)


@pytest.mark.parametrize("name", ["skresnet18", "swinv2_cr_tiny_ns_224", "test_byobnet"])
def test_every_adapter_is_trained(name):
    model = build_model(name, num_classes=3, pretrained=False, image_size=64)
    Lora(rank=2).prepare(model, 0)
    adapters = {n: p for n, p in model.named_parameters() if "lora_" in n}
    assert adapters
    with scoped_seed(1), torch.no_grad():
        for parameter in adapters.values():
            parameter.normal_(std=0.02)
    model(images(model)).square().sum().backward()
    assert not [n for n, p in adapters.items() if p.grad is None]


def test_a_weight_used_without_a_call_of_its_layer_has_no_adapter():
    model = build_model("eva02_tiny_patch14_224", num_classes=3, pretrained=False, image_size=28)
    names = list_adapted_layers(model)
    assert any(name.endswith("attn.proj") for name in names)
    assert not any(name.endswith("attn.qkv") for name in names)
