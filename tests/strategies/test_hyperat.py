"""HyperAT: the hypernetwork's adapters, which weights are trained, and merging."""

import pytest
import torch
from torch import nn

from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument, ModelError
from rampart.models.backbones import build_model
from rampart.models.normalized import NormalizedModel
from rampart.runtime import scoped_seed
from rampart.strategies.base import chosen
from rampart.strategies.hyperat import HyperAt, hypernetwork_of

pytest.importorskip("peft")

STRATEGY = HyperAt(rank=2, alpha=6.0, embedding=4, hidden=3)
DEFENSES = 3


NETWORKS = {"convolutions": ("rampart_glyphnet", {}), "attention": ("test_vit", {"depth": 1})}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def model(request):
    name, options = request.param
    options = {**options, "in_chans": 3}
    return build_model(name, num_classes=3, pretrained=False, options=options, image_size=16).eval()


def images(model):
    with scoped_seed(3):
        return torch.rand(2, 3, model.image_size, model.image_size)


def prepare(model, trained=True):
    STRATEGY.prepare_for(model, 0, DEFENSES)
    if trained:
        with torch.no_grad(), scoped_seed(1):
            for one in hypernetwork_of(model).up.parameters():
                one.normal_()
    return model


def test_new_adapters_do_not_change_the_outputs_of_any_defense(model):
    before = model(images(model))
    prepare(model, trained=False)
    for defense in (*range(DEFENSES), None):
        STRATEGY.choose(model, defense)
        assert torch.equal(model.eval()(images(model)), before)


def test_only_the_hypernetwork_and_the_head_are_trained(model):
    head = {id(p) for p in model.backbone.get_classifier().parameters()}
    prepare(model)
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert trained == head | {id(p) for p in hypernetwork_of(model).parameters()}


def codes_by_hand(net, defense, layer):
    """The definition: norm(gelu(trunk([defense, layer]))), one row for each rank."""
    pair = torch.cat([net.defenses[defense], net.layers[layer]])
    hidden = nn.functional.gelu(net.trunk.weight @ pair / len(pair)).view(2, 3)
    centered = hidden - hidden.mean(1, keepdim=True)
    return centered / (centered.square().mean(1, keepdim=True) + 1e-5).sqrt()


def test_merged_weights_are_the_mean_that_the_hypernetwork_defines(model):
    before = {name: one.clone() for name, one in model.state_dict().items()}
    prepare(model)
    net = hypernetwork_of(model)
    names = [n for n, m in model.named_modules() if hasattr(m, "lora_A") and "base_layer" not in n]
    merged = STRATEGY.finished(model).state_dict()
    assert set(merged) == set(before)
    for number, name in enumerate(names):
        weight = before[f"{name}.weight"]
        key = f"{weight[0].numel()} to {len(weight)}"
        total = torch.zeros_like(weight).flatten(1)
        for defense in range(DEFENSES):
            codes = codes_by_hand(net, defense, number)
            a, b = codes @ net.down[key].weight.T / 3, net.up[key].weight @ codes.T / 3
            total += b @ a
        expected = weight + 6.0 / 2 * total.view_as(weight) / DEFENSES
        assert not torch.allclose(expected, weight, atol=1e-3)
        torch.testing.assert_close(merged[f"{name}.weight"], expected, atol=1e-5, rtol=1e-4)


def test_the_finished_model_is_an_ordinary_one_with_the_validated_outputs(model):
    prepare(model)
    validated = model.eval()(images(model))
    finished = STRATEGY.finished(model)
    torch.testing.assert_close(finished.eval()(images(model)), validated, atol=1e-4, rtol=1e-4)
    assert not [m for m in finished.modules() if "peft" in type(m).__module__]
    assert all(p.requires_grad for p in finished.parameters())
    assert hypernetwork_of(model) is model.hypernetwork, "the model in training stays"


def test_a_defense_is_used_inside_its_block_alone(model):
    prepare(model)
    mean = model(images(model))
    seen = []
    for defense in range(DEFENSES):
        with chosen([STRATEGY], model, defense):
            seen.append(model(images(model)))
    assert len({tuple(one.flatten().tolist()) for one in seen}) == DEFENSES
    assert torch.equal(model(images(model)), mean)


def test_every_weight_of_the_hypernetwork_gets_a_gradient(model):
    prepare(model)
    with chosen([STRATEGY], model, 1):
        model(images(model)).square().sum().backward()
    net = hypernetwork_of(model)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    others = net.defenses.grad[[0, 2]]
    assert not others.any(), "the embeddings of the other defenses stay"


def test_an_attack_leaves_what_it_attacks_unchanged(model):
    prepare(model)
    state = {name: one.clone() for name, one in model.state_dict().items()}
    with chosen([STRATEGY], model, 2):
        Pgd(steps=1)(model, images(model), torch.tensor([0, 1]), 4 / 255)
    assert all(torch.equal(one, state[name]) for name, one in model.state_dict().items())
    assert all(p.requires_grad for p in hypernetwork_of(model).parameters())


def test_the_hypernetwork_depends_on_the_seed_alone():
    def weights(seed):
        model = build_model("rampart_glyphnet", num_classes=3, pretrained=False, image_size=16)
        STRATEGY.prepare_for(model, seed, 2)
        return torch.cat([p.flatten() for p in hypernetwork_of(model).parameters()])

    state = torch.random.get_rng_state()
    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))
    assert torch.equal(torch.random.get_rng_state(), state)


class OnlyAHead(nn.Module):
    num_classes = 2

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(48, 2)

    def get_classifier(self):
        return self.head

    def forward(self, x):
        return self.head(x.flatten(1))


def test_a_backbone_without_a_layer_for_adapters_is_refused():
    model = NormalizedModel(OnlyAHead(), (0.5,) * 3, (0.5,) * 3, 4)
    with pytest.raises(ModelError, match=r"strategy hyperat: no layer .* leave out hyperat"):
        STRATEGY.prepare_for(model, 0, 2)


@pytest.mark.parametrize("options", [{"rank": 0}, {"alpha": 0.0}, {"embedding": 0}, {"hidden": 0}])
def test_impossible_sizes(options):
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        HyperAt(**options)
