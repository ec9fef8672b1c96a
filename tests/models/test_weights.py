from itertools import permutations

import pytest
import torch
from torch import nn

from rampart.errors import ModelError, RampartWarning
from rampart.models.weights import PREFIXES, classes_in, fit_weights, require_numbers


def net(classes=4):
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, classes))


def drawn():
    torch.manual_seed(3)
    return {key: torch.rand_like(v.float()) for key, v in net().state_dict().items()}


def equals(model, weights):
    return all(
        value.equal(weights[key].to(value.dtype)) for key, value in model.state_dict().items()
    )


@pytest.mark.parametrize(
    "prefix", ["", *PREFIXES, *("".join(two) for two in permutations(PREFIXES, 2))]
)
def test_prefixes_of_wrappers(prefix):
    model, weights = net(), drawn()
    given = {prefix + key: value for key, value in weights.items()}
    fit_weights(model, given, True, "file")
    assert equals(model, weights)


def test_a_prefix_of_the_model_itself_stays():
    model, inner = nn.Module(), net()
    model.backbone = inner
    fit_weights(model, {f"module.backbone.{k}": v for k, v in drawn().items()}, True, "file")
    assert equals(inner, drawn())


def test_weights_beside_the_prefix_are_left_out_and_named():
    model, weights = net(), drawn()
    given = {f"model.{key}": value for key, value in weights.items()}
    with pytest.warns(RampartWarning, match=r"'model\.'.*criterion\.scale"):
        fit_weights(model, {**given, "criterion.scale": torch.ones(1)}, True, "file")
    assert equals(model, weights)


def test_counters_of_batch_norm_may_be_missing():
    model, weights = net(), drawn()
    count = model[1].num_batches_tracked.clone()
    fit_weights(model, {k: v for k, v in weights.items() if "tracked" not in k}, True, "file")
    assert model[1].num_batches_tracked == count
    assert model[1].running_mean.equal(weights["1.running_mean"])


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_that_do_not_fit(prefix):
    weights = {prefix + key: value for key, value in drawn().items()}
    fewer = {k: v for k, v in weights.items() if not k.endswith("running_var")}
    more = {**weights, prefix + "9.weight": torch.ones(1)}
    for given, fault in ((fewer, "1 missing"), (more, "1 unexpected")):
        with pytest.raises(ModelError, match=fault):
            fit_weights(net(), given, True, "file")
    with pytest.raises(ModelError, match="2 of another shape"):
        fit_weights(net(classes=5), weights, True, "file")
    with pytest.raises(ModelError, match="missing"):
        fit_weights(net(), {f"other.{key}": value for key, value in drawn().items()}, True, "file")


def test_classes_of_a_head():
    own = net(classes=7).state_dict()
    assert classes_in(net(classes=4).state_dict(), own, 7) == 4
    assert classes_in(net(classes=7).state_dict(), own, 7) == 7
    assert classes_in({"other": torch.ones(3, 4)}, own, 7) == 7


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["0.weight", "3.bias"])
def test_a_parameter_that_is_not_finite_is_named(key, value):
    model = net()
    require_numbers(model, "file")
    with torch.no_grad():
        model.state_dict()[key].view(-1)[1] = value
    with pytest.raises(ModelError, match=f"1 of .*'{key}'"):
        require_numbers(model, "file")


def test_a_buffer_may_be_infinite_but_not_nan():
    model = net()
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    require_numbers(model, "file")
    model[1].running_mean[0] = torch.nan
    with pytest.raises(ModelError, match=r"1\.running_mean"):
        require_numbers(model, "file")
