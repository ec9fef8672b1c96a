import json

import pytest
import torch

from rampart.errors import ModelError, UnknownName
from rampart.models.external.load import kind_of, load_model


@pytest.mark.parametrize(
    ("reference", "kind", "rest"),
    [
        ("timm:resnet50.a1_in1k", "timm", "resnet50.a1_in1k"),
        ("resnet50.a1_in1k", "timm", "resnet50.a1_in1k"),
        ("hf-hub:org/name", "timm", "hf-hub:org/name"),
        ("local-dir:some/where", "timm", "local-dir:some/where"),
        ("torchvision:resnet18:DEFAULT", "torchvision", "resnet18:DEFAULT"),
        ("hf:google/vit", "hf", "google/vit"),
        ("package.module:make", "factory", "package.module:make"),
        ("some/where/mine.py:Zoo.make", "factory", "some/where/mine.py:Zoo.make"),
        ("/abs/mine.py:make", "factory", "/abs/mine.py:make"),
    ],
)
def test_the_kind_of_a_reference(reference, kind, rest):
    assert kind_of(reference) == (kind, rest)


def test_the_kind_of_files_and_folders(tmp_path):
    for ending, kind in ((".onnx", "onnx"), (".pt2", "exported"), (".safetensors", "timm")):
        path = tmp_path / f"a{ending}"
        with pytest.raises(ModelError, match=f"a{ending}"):
            kind_of(str(path))
        path.touch()
        assert kind_of(str(path)) == (kind, str(path))
    for key, kind in (("architecture", "timm"), ("model_type", "hf")):
        (tmp_path / "config.json").write_text(json.dumps({key: "x"}))
        assert kind_of(str(tmp_path)) == (kind, str(tmp_path))
    for content in ("{}", "[]", "no json"):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ModelError, match=r"no config\.json"):
            kind_of(str(tmp_path))


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin", ".pkl", ".ckpt"])
def test_pickles_of_an_unknown_architecture_are_refused_unopened(tmp_path, ending):
    with pytest.raises(ModelError, match=r"is a pickle.*torchvision:NAME:.*FILE\.py:FUNCTION"):
        load_model(str(tmp_path / f"model{ending}"))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("torchvison:resnet18", "did you mean torchvision:resnet18"),
        ("torchvison:resnet18:DEFAULT", "unknown kind of model 'torchvison': .*torchvision"),
        ("tim:resnet18", "did you mean timm:resnet18"),
        ("hff:org/name", "unknown kind of model 'hff'"),
        ("resnet5", "resnet50"),
    ],
)
def test_typing_errors_get_a_suggestion(reference, message):
    with pytest.raises(UnknownName, match=message):
        load_model(reference)


def test_a_file_of_code_needs_a_function():
    with pytest.raises(ModelError, match=r"name the function .*mine\.py:NAME"):
        load_model("mine.py")


def test_the_global_generator_does_not_change(weights_file):
    state = torch.get_rng_state()
    load_model(str(weights_file))
    assert torch.equal(torch.get_rng_state(), state)
