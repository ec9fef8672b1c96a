import json
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from rampart.errors import ModelError, UnknownName
from rampart.models.backbones import build_model
from rampart.models.external.load import load_model
from rampart.models.saving import save_model

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_saved_folder(weights_file, tmp_path):
    model = build_model(str(weights_file), pretrained_head=True).eval()
    names = [f"class {i}" for i in range(10)]
    save_model(model, tmp_path / "model", names)
    found = load_model(str(tmp_path / "model"))
    assert torch.equal(found.model(IMAGES), model(IMAGES))
    assert found.class_names == tuple(names)
    assert (found.source, found.input_size, found.num_classes) == ("timm", (3, 32, 32), 10)
    assert found.differentiable
    local = load_model(f"local-dir:{tmp_path / 'model'}")
    assert local.fingerprint == found.fingerprint
    assert load_model(str(weights_file)).fingerprint == found.fingerprint
    assert load_model(str(weights_file)).class_names is None


def test_a_new_head_drops_the_names_of_the_classes(weights_file, tmp_path):
    save_model(build_model(str(weights_file), pretrained_head=True), tmp_path / "a", "abcdefghij")
    again = build_model(str(tmp_path / "a"), num_classes=3)
    save_model(again, tmp_path / "b", "xyz")
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    assert "label_names" not in config["pretrained_cfg"]
    assert load_model(str(tmp_path / "b")).class_names == ("x", "y", "z")


def test_requirements_on_a_saved_model(weights_file):
    found = load_model(str(weights_file), image_size=40, mean=[0, 0, 0], std=[1, 1, 1])
    assert found.input_size == (3, 40, 40)
    assert found.model.mean.abs().max() == 0
    with pytest.raises(ModelError, match="10 outputs, expected 3"):
        load_model(str(weights_file), num_classes=3)
    with pytest.raises(ModelError, match=r"3 channels, expected 1"):
        load_model(str(weights_file), in_chans=1)


def test_from_a_pickle_only_weights_are_read(weights_file, tmp_path):
    model = build_model(str(weights_file), pretrained_head=True).eval()
    save_model(model, tmp_path / "model", "abcdefghij")
    (tmp_path / "model" / "model.safetensors").unlink()
    pickled = tmp_path / "model" / "pytorch_model.bin"
    torch.save(model.backbone.state_dict(), pickled)
    assert torch.equal(load_model(str(tmp_path / "model")).model(IMAGES), model(IMAGES))
    torch.save({"trap": Trap(tmp_path / "ran")}, pickled)
    with pytest.raises(ModelError, match="cannot be read") as error:
        load_model(str(tmp_path / "model"))
    assert not (tmp_path / "ran").exists()
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("kind", "name"), [("timm", "test_resnet"), ("torchvision", "squeezenet1_1")]
)
def test_an_architecture_with_a_weights_file(kind, name, ending, tmp_path):
    torch.manual_seed(0)
    create = timm.create_model if kind == "timm" else torchvision.models.get_model
    network, file = create(name, num_classes=5).eval(), tmp_path / f"weights{ending}"
    save = torch.save if ending == ".pth" else save_file
    save(network.state_dict(), file)
    found = load_model(f"{kind}:{name}:{file}", image_size=32, mean=[0] * 3, std=[1] * 3)
    torch.testing.assert_close(found.model(IMAGES), network(IMAGES))
    assert (found.num_classes, found.class_names, found.source) == (5, None, kind)
    assert found.name.endswith(f"{name}:{file}")
    by_default = load_model(f"{kind}:{name}:{file}", image_size=32)
    expected = (0.5, 0.5, 0.5) if kind == "timm" else (0.485, 0.456, 0.406)
    assert by_default.model.mean.flatten().tolist() == pytest.approx(expected)
    with pytest.raises(ModelError, match="do not fit"):
        load_model(f"{kind}:resnet18:{file}")
    with pytest.raises(ModelError, match="does not exist"):
        load_model(f"{kind}:{name}:{tmp_path / 'nothing.pth'}")


@pytest.mark.slow
@pytest.mark.parametrize("auxiliary", [True, False])
def test_a_weights_file_with_or_without_auxiliary_heads(auxiliary, tmp_path):
    options = {"init_weights": False, "transform_input": True}
    network = torchvision.models.googlenet(num_classes=5, aux_logits=auxiliary, **options).eval()
    torch.save(network.state_dict(), tmp_path / "a.pth")
    found = load_model(
        f"torchvision:googlenet:{tmp_path / 'a.pth'}", image_size=64, mean=[0] * 3, std=[1] * 3
    )
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(found.model(images), network(images))


def test_a_name_of_timm_has_the_classes_of_imagenet(monkeypatch):
    network = build_model("resnet18", pretrained=False, pretrained_head=True)
    monkeypatch.setattr("rampart.models.external.pretrained.build_model", lambda *a, **k: network)
    for name in ("timm:resnet18.a1_in1k", "resnet18"):
        found = load_model(name, image_size=32)
        assert found.class_names[:2] == ("n01440764", "n01443537")
        assert found.input_size == (3, 32, 32)


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A trained network in the cache of torchvision."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_1().eval()
    url = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / url.rpartition("/")[2])
    return network


def test_a_classifier_of_torchvision(cached):
    found = load_model("torchvision:squeezenet1_1:DEFAULT", image_size=32)
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    torch.testing.assert_close(found.model(IMAGES), cached((IMAGES - mean) / std))
    assert found.name == "torchvision:squeezenet1_1:IMAGENET1K_V1"
    assert (found.num_classes, found.input_size) == (1000, (3, 32, 32))
    assert found.class_names[:2] == ("tench", "goldfish")
    assert found.namings[1][:2] == ("n01440764", "n01443537")
    assert load_model("torchvision:squeezenet1_1:IMAGENET1K_V1").input_size == (3, 224, 224)


class Trap:
    """An object that runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_downloaded_file_that_holds_code_is_not_opened(cached, tmp_path):
    (file,) = (tmp_path / "hub" / "checkpoints").iterdir()
    torch.save({"trap": Trap(tmp_path / "ran")}, file)
    with pytest.raises(ModelError, match="cannot be loaded.*without a network put https://") as e:
        load_model("torchvision:squeezenet1_1:DEFAULT")
    assert str(tmp_path) in str(e.value)
    assert "weights_only" not in str(e.value)
    assert not (tmp_path / "ran").exists()


def test_names_of_torchvision_that_are_wrong():
    with pytest.raises(UnknownName, match="did you mean resnet18"):
        load_model("torchvision:resnet8:DEFAULT")
    with pytest.raises(UnknownName, match="weights of torchvision.*IMAGENET1K_V1"):
        load_model("torchvision:resnet18:IMAGENET1K_V3")
    with pytest.raises(ModelError, match=r"write torchvision:resnet50:IMAGENET1K_V1 \(or"):
        load_model("torchvision:resnet50")
    with pytest.raises(UnknownName, match="did you mean torchvision:squeezenet1_1"):
        load_model("squeezenet1_1")
