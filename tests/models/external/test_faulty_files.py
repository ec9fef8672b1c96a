"""Faults in the files of every kind of model."""

import json

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from rampart.errors import ModelError
from rampart.models.external.load import load_model


def timm_folder(folder):
    model = with_nan(timm.create_model("test_resnet", num_classes=3), "fc.bias")
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architecture": "test_resnet"}))
    return str(folder), r"fc\.bias"


def timm_file(folder):
    model = with_nan(timm.create_model("test_resnet", num_classes=3), "conv1.0.weight")
    torch.save(model.state_dict(), folder / "a.pth")
    return f"timm:test_resnet:{folder / 'a.pth'}", r"conv1\.0\.weight"


def torchvision_file(folder):
    model = torchvision.models.squeezenet1_1(num_classes=3)
    torch.save(with_nan(model, "classifier.1.bias").state_dict(), folder / "a.pth")
    return f"torchvision:squeezenet1_1:{folder / 'a.pth'}", r"classifier\.1\.bias"


def hugging_face(folder):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.ViTConfig(
        **sizes, intermediate_size=16, image_size=16, patch_size=8, num_labels=3
    )
    model = with_nan(transformers.ViTForImageClassification(config), "classifier.bias")
    model.save_pretrained(folder)
    size = {"height": 16, "width": 16}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return f"hf:{folder}", r"classifier\.bias"


def exported(folder):
    program = torch.export.export(with_nan(net(), "1.bias"), (torch.rand(2, 3, 8, 8),))
    torch.export.save(program, folder / "a.pt2")
    return str(folder / "a.pt2"), r"1\.bias"


def onnx(folder):
    package = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weight = torch.ones(192, 3)
    weight[4, 1] = torch.nan
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "head"], ["scores"]),
    ]
    given, scores = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
        for name, shape in (("pixels", (3, 8, 8)), ("scores", (3,)))
    )
    head = numpy_helper.from_array(weight.numpy(), "head")
    graph = helper.make_graph(nodes, "linear", [given], [scores], [head])
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    package.save(model, folder / "a.onnx")
    return str(folder / "a.onnx"), "head"


def function(folder):
    (folder / "mine.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def net():\n"
        "    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))\n"
        "    with torch.no_grad():\n"
        "        module[1].bias[0] = torch.nan\n"
        "    return module\n"
    )
    return f"{folder / 'mine.py'}:net", r"1\.bias"


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))


def with_nan(model, key):
    with torch.no_grad():
        model.state_dict()[key].view(-1)[0] = torch.nan
    return model.eval()


@pytest.mark.parametrize(
    "kind", [timm_folder, timm_file, torchvision_file, hugging_face, exported, onnx, function]
)
def test_a_weight_that_is_not_a_number_is_named_for_every_kind(kind, tmp_path):
    reference, key = kind(tmp_path)
    with pytest.raises(ModelError, match=rf"1 of \d+ weights in '[\w.]*{key}'"):
        load_model(reference)


OTHERS = {
    "empty": b"",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "web page": b"<!DOCTYPE html>\n<html></html>",
    "text": b"Not found\n",
}


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("file", ["a.onnx", "a.pt2", "timm", "torchvision"])
def test_files_that_hold_no_model(what, file, tmp_path):
    names = {"timm": "timm:test_resnet:", "torchvision": "torchvision:squeezenet1_1:"}
    path = tmp_path / (f"{file}.pth" if file in names else file)
    path.write_bytes(OTHERS[what])
    with pytest.raises(ModelError, match=f"it is .*{what}") as error:
        load_model(f"{names.get(file, '')}{path}")
    assert "weights_only" not in str(error.value)
