import json
import os
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.models.backbones import NO_OPTIONS, build_model
from rampart.models.weights import parameter_groups

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def backbone_equals(model, weights):
    state = model.backbone.state_dict()
    return all(torch.equal(state[k], v) for k, v in weights.items() if not k.startswith("fc."))


def test_a_weights_file_with_its_configuration(weights_file):
    model = build_model(str(weights_file), num_classes=4)
    weights = load_file(weights_file)
    assert backbone_equals(model, weights)
    assert model.num_classes == 4
    assert model.image_size == 32
    torch.testing.assert_close(model.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(model.std.flatten(), torch.tensor([0.4, 0.5, 0.6]))
    assert isinstance(model.backbone.act1, torch.nn.SiLU)
    assert model(IMAGES).shape == (2, 4)


def test_weights_onto_a_named_architecture(weights_file):
    by_file = build_model(str(weights_file), num_classes=4)
    weights_file.with_suffix(".json").unlink()
    named = build_model(
        "test_resnet",
        weights=weights_file,
        num_classes=4,
        options={"act_layer": "silu"},
        mean=[0.1, 0.2, 0.3],
        std=[0.4, 0.5, 0.6],
    )
    assert torch.equal(named(IMAGES), by_file(IMAGES))
    default = build_model("test_resnet", weights=weights_file, num_classes=4)
    assert default.mean.flatten().tolist() == [0.5, 0.5, 0.5]


def test_arguments_override_the_configuration(weights_file):
    model = build_model(
        str(weights_file), num_classes=4, mean=[0, 0, 0], options={"act_layer": "gelu"}
    )
    assert model.mean.abs().max() == 0
    assert model.std.flatten()[0] == pytest.approx(0.4)
    assert not isinstance(model.backbone.act1, torch.nn.SiLU)


def test_torch_files(weights_file, tmp_path):
    weights = load_file(weights_file)
    for name, content in (("a.pth", weights), ("b.pt", {"state_dict": weights})):
        torch.save(content, tmp_path / name)
        options = {"act_layer": "silu"}
        model = build_model("test_resnet", weights=tmp_path / name, num_classes=3, options=options)
        assert backbone_equals(model, weights)


def test_a_file_that_runs_code_is_refused(tmp_path):
    torch.save({"model": Path("anything")}, tmp_path / "model.pth")
    with pytest.raises(ModelError, match="cannot be read") as error:
        build_model("test_resnet", weights=tmp_path / "model.pth", num_classes=3)
    assert "\n" not in str(error.value)


def test_the_head_is_fresh_even_if_the_old_one_would_fit(weights_file):
    weights = load_file(weights_file)
    fresh, again, other = (
        build_model(str(weights_file), num_classes=10, seed=s) for s in (0, 0, 1)
    )
    kept = build_model(str(weights_file), pretrained_head=True)
    assert torch.equal(kept.backbone.fc.weight, weights["fc.weight"])
    assert not torch.equal(fresh.backbone.fc.weight, weights["fc.weight"])
    assert torch.equal(fresh.backbone.fc.weight, again.backbone.fc.weight)
    assert not torch.equal(fresh.backbone.fc.weight, other.backbone.fc.weight)


def test_the_global_generator_does_not_change(weights_file):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    build_model(str(weights_file), num_classes=4)
    first = build_model("test_resnet", pretrained=False, num_classes=4, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    second = build_model("test_resnet", pretrained=False, num_classes=4, seed=2)
    assert torch.equal(first(IMAGES), second(IMAGES))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("layer1.0.conv1.weight"), r"1 missing \(layer1.0.conv1.weight\)"),
        (lambda w: w.update(x=torch.zeros(1)), r"1 unexpected \(x\)"),
        (
            lambda w: w.update({"bn1.weight": torch.zeros(7)}),
            r"1 of another shape \(bn1.weight \(7,\) instead of \(32,\)\)",
        ),
        (
            lambda w: [w.pop(k) for k in list(w) if "bn" in k],
            r"missing \([^,]+, [^,]+, [^,]+, ...\)",
        ),
    ],
)
def test_weights_that_do_not_fit(weights_file, change, message):
    weights = load_file(weights_file)
    change(weights)
    save_file(weights, weights_file)
    with pytest.raises(ModelError, match=message) as error:
        build_model(str(weights_file), num_classes=4)
    assert "\n" not in str(error.value)
    assert str(weights_file) in str(error.value)


def test_a_pretrained_head_has_its_own_number_of_classes(weights_file):
    assert build_model(str(weights_file), pretrained_head=True, num_classes=10).num_classes == 10
    with pytest.raises(ModelError, match="10 classes, expected 4"):
        build_model(str(weights_file), pretrained_head=True, num_classes=4)


@pytest.mark.parametrize("num_classes", [None, 0, 1])
def test_a_fresh_head_needs_classes(num_classes):
    with pytest.raises(InvalidArgument, match="num_classes"):
        build_model("test_resnet", pretrained=False, num_classes=num_classes)


def test_channels_and_normalization():
    model = build_model("test_resnet", pretrained=False, num_classes=3, in_chans=1)
    assert model.mean.shape == (1, 1, 1, 1)
    assert model(IMAGES[:, :1]).shape == (2, 3)
    with pytest.raises(InvalidArgument, match=r"mean=\[0.5\]: expected 3 values"):
        build_model("test_resnet", pretrained=False, num_classes=3, mean=[0.5])


def test_a_model_of_fixed_size_is_built_for_the_images():
    model = build_model("test_vit", pretrained=False, num_classes=3, image_size=32)
    assert model.image_size == 32
    assert model(IMAGES).shape == (2, 3)


def test_weights_of_another_image_size_are_resampled(tmp_path):
    network = timm.create_model("test_vit")
    save_file(network.state_dict(), tmp_path / "vit.safetensors")
    arguments = {"weights": tmp_path / "vit.safetensors", "num_classes": 3}
    full, small = (build_model("test_vit", image_size=s, **arguments) for s in (None, 32))
    assert (full.image_size, small.image_size) == (160, 32)
    assert small(IMAGES).shape == (2, 3)
    assert torch.equal(full.backbone.pos_embed, network.pos_embed)


def test_groups_are_complete_and_disjoint():
    for name, heads in (
        ("test_resnet", {"fc"}),
        ("test_vit", {"head"}),
        ("test_convnext", {"head.fc"}),
    ):
        model = build_model(name, pretrained=False, num_classes=3)
        backbone, head = parameter_groups(model)
        assert sorted(n for n, _ in backbone + head) == sorted(
            n for n, _ in model.named_parameters()
        )
        assert {n for n, _ in head} == {
            f"backbone.{h}.{k}" for h in heads for k in ("weight", "bias")
        }


def test_unknown_names():
    for name, near in (
        ("resnet5", "resnet50"),
        ("resnet50.a1", "resnet50.a1_in1k"),
        ("convnxt_base", "convnext_base"),
    ):
        with pytest.raises(UnknownName, match=near):
            build_model(name, num_classes=3)
    with pytest.raises(UnknownName, match="list_models"):
        build_model("qqqqqqqqqqqq", num_classes=3)
    with pytest.raises(ModelError, match="hf-hub:someone/model"):
        build_model("someone/model", num_classes=3)


@pytest.mark.parametrize("option", ["in_chans", "drop_rate", "drop_path_rate"])
def test_true_is_no_number_for_an_argument_of_timm(option):
    with pytest.raises(InvalidArgument, match=rf"options\.{option}=true: expected a number"):
        build_model("test_resnet", pretrained=False, num_classes=3, options={option: True})


def test_unknown_options():
    with pytest.raises(ModelError, match=r"options.*pad_typ"):
        build_model("test_resnet", pretrained=False, num_classes=3, options={"pad_typ": "same"})


def test_no_network(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    monkeypatch.setattr("rampart.models.sources.load_model_config_from_hf", offline)
    for name in ("test_resnet.r160_in1k", "hf-hub:someone/model"):
        with pytest.raises(ModelError, match=r"no route to host\); without a network") as error:
            build_model(name, num_classes=3)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(NO_OPTIONS))
def test_an_option_that_a_saved_model_could_not_keep(name):
    with pytest.raises(InvalidArgument, match=rf"options={name}: .*saved"):
        build_model("test_resnet", pretrained=False, num_classes=3, options={name: 1})


def test_no_weights_to_load():
    with pytest.raises(ModelError, match="no weights for 'botnet50ts_256'"):
        build_model("botnet50ts_256", num_classes=3)


def test_files_that_are_missing_or_wrong(weights_file, tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        build_model(str(tmp_path / "nothing.safetensors"), num_classes=3)
    with pytest.raises(ModelError, match="model.safetensors"):
        build_model(f"local-dir:{tmp_path / 'nothing'}", num_classes=3)
    with pytest.raises(ModelError, match="describes test_resnet, not resnet18"):
        build_model("resnet18", weights=weights_file, num_classes=3)
    weights_file.with_suffix(".json").write_text("{}")
    with pytest.raises(ModelError, match="names no architecture"):
        build_model(str(weights_file), num_classes=3)
    weights_file.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match="no configuration small.json beside it"):
        build_model(str(weights_file), num_classes=3)
    weights_file.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot be read"):
        build_model("test_resnet", weights=weights_file, num_classes=3)
    (tmp_path / "weights.onnx").touch()
    with pytest.raises(ModelError, match="expected one of .safetensors"):
        build_model("test_resnet", weights=tmp_path / "weights.onnx", num_classes=3)


SHARED = Path(os.environ.get("RAMPART_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = SHARED / "mobilenetv2_100.safetensors"


@pytest.mark.skipif(not REAL.is_file(), reason="ImageNet backbone not found; see RAMPART_TEST_DATA")
def test_a_real_backbone():
    model = build_model(str(REAL), num_classes=6).eval()
    weights = load_file(REAL)
    state = model.backbone.state_dict()
    changed = {k for k, v in weights.items() if not torch.equal(state[k], v)}
    assert changed <= {"classifier.weight", "classifier.bias"}
    assert model.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert (model.image_size, model.num_classes) == (224, 6)
    options = json.loads(REAL.with_suffix(".json").read_text())["model_args"]
    assert model.model_args == options
    reference = timm.create_model("mobilenetv2_100", **options).eval()
    reference.load_state_dict(weights)
    kept = build_model(str(REAL), pretrained_head=True).eval()
    torch.testing.assert_close(kept(IMAGES), reference(2 * IMAGES - 1))
