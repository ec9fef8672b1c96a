import json

import pytest
import torch

from own_architectures import GOOD
from rampart.errors import ModelError
from rampart.models import reloading
from rampart.models.backbones import build_model
from rampart.models.normalized import NormalizedModel
from rampart.models.reloading import require_reloadable
from rampart.models.saving import save_model

NAMES = ["ant", "bee", "cat"]
IMAGES = torch.rand(2, 3, 32, 32)


def built(name, **given):
    given.setdefault("image_size", 32)
    return build_model(name, pretrained=False, num_classes=3, in_chans=3, **given).eval()


@pytest.mark.parametrize("name", GOOD)
def test_an_architecture_of_the_user_is_restored(name, tmp_path):
    model = built(name, options={"width": 6})
    require_reloadable(model, NAMES, 32, IMAGES)
    save_model(model, tmp_path, NAMES, 32)
    assert json.loads((tmp_path / "config.json").read_text())["architecture"] == name
    again = build_model(str(tmp_path), num_classes=3, pretrained_head=True).eval()
    assert torch.equal(again(IMAGES), model(IMAGES))
    wider = build_model(str(tmp_path), num_classes=5).eval()
    assert wider(IMAGES).shape == (2, 5)
    assert torch.equal(wider.backbone.stem.weight, model.backbone.stem.weight)


@pytest.mark.parametrize("small", [0, 10**9])
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("own_bare", {}),
        ("test_resnet", {"options": {"act_layer": "silu"}}),
        ("test_vit", {}),
        ("test_convnext", {"mean": [0.1, 0.2, 0.3]}),
        ("rampart_glyphnet", {"options": {"norm": "batch"}}),
    ],
)
def test_models_that_can_be_saved_pass(name, given, small, monkeypatch):
    monkeypatch.setattr(reloading, "SMALL", small)
    model = built(name, **given)
    before = torch.get_rng_state()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    require_reloadable(model, NAMES, 32, IMAGES)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_options_that_json_cannot_hold_are_refused():
    model = built("own_bare")
    model.model_args["act_layer"] = torch.nn.SiLU
    with pytest.raises(ModelError, match=r"model\.options"):
        require_reloadable(model, NAMES, 32, IMAGES)
    nameless = NormalizedModel(built("own_bare").backbone, [0.5] * 3, [0.5] * 3, 32)
    with pytest.raises(ModelError, match="build_model"):
        require_reloadable(nameless, NAMES, 32, IMAGES)


@pytest.mark.parametrize("small", [0, 10**9])
def test_weights_that_differ_are_named(small, monkeypatch):
    monkeypatch.setattr(reloading, "SMALL", small)
    model = built("own_bare", options={"width": 6})
    model.model_args["width"] = 5
    with pytest.raises(ModelError, match=r"own_bare.*width.*5|stem\.weight"):
        require_reloadable(model, NAMES, 32, IMAGES)
    model.model_args["wdith"] = model.model_args.pop("width")
    with pytest.raises(ModelError, match="wdith"):
        require_reloadable(model, NAMES, 32, IMAGES)


def test_a_lost_option_changes_the_logits():
    model = built("own_bare", options={"scale": 3.0})
    del model.model_args["scale"]
    with pytest.raises(ModelError, match="other logits"):
        require_reloadable(model, NAMES, 32, IMAGES)
