"""`rampart.evaluate` on a model and `rampart evaluate` on its file give the same figures."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from tests.cli import public_models
from tests.cli.public_models import CLASSES, MEAN, SIDE, STD, pictures

import rampart as library
from rampart.records.storage import load_record

NORMALIZED = {"mean": MEAN, "std": STD}
COLUMNS = ("labels", "predictions", "critical", "distance", "forwards", "backwards")


def write_pictures(folder, images, labels):
    """Write images of a split, one folder per class."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / "abc"[int(label)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{number:02}.png")


def labeled(model, kind):
    """Return the pictures in the order of a folder, and the model's predictions as labels."""
    images = pictures(kind.side)
    pixels = images / 255
    if kind.options:
        pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    if isinstance(model, torch.nn.Module) and not isinstance(model, torch.fx.GraphModule):
        model = model.eval()
    with torch.no_grad():
        output = model(pixels)
    labels = getattr(output, "logits", output).argmax(1)
    order = labels.argsort(stable=True)
    assert len(labels.unique()) == CLASSES
    return images[order], labels[order]


def as_folder_of_timm(tmp_path):
    folder, network = tmp_path / "vit", public_models.timm_network("test_vit", img_size=SIDE)
    described = {"mean": MEAN, "std": STD, "input_size": (3, SIDE, SIDE)}
    network.pretrained_cfg = {**network.pretrained_cfg, **described}
    arguments = {"img_size": SIDE}
    timm.models.save_for_hf(network, folder, model_args=arguments, safe_serialization=True)
    return network, folder


def as_safetensors(tmp_path):
    network = public_models.timm_network("test_resnet")
    described = {"mean": MEAN, "std": STD, "input_size": (3, SIDE, SIDE)}
    network.pretrained_cfg = {**network.pretrained_cfg, **described}
    timm.models.save_for_hf(network, tmp_path, safe_serialization=True)
    (tmp_path / "model.safetensors").rename(tmp_path / "resnet.safetensors")
    (tmp_path / "config.json").rename(tmp_path / "resnet.json")
    return network, tmp_path / "resnet.safetensors"


def as_folder_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    network = public_models.hugging_face()
    network.save_pretrained(tmp_path)
    size = {"height": SIDE, "width": SIDE}
    processor = transformers.ViTImageProcessor(image_mean=MEAN, image_std=STD, size=size)
    processor.save_pretrained(tmp_path)
    return network, f"hf:{tmp_path}"


def as_exported_program(tmp_path):
    batch = torch.export.Dim("batch", min=1, max=512)
    example = (pictures() / 255,)
    program = torch.export.export(public_models.small(), example, dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "small.pt2")
    return torch.export.load(tmp_path / "small.pt2").module(), tmp_path / "small.pt2"


def as_onnx(tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper, save

    linear, file = public_models.in_numpy(), tmp_path / "linear.onnx"
    constants = {"weight": linear.weight.T.copy(), "bias": linear.bias}
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "linear", [pixels], [logits], weights)
    opset = helper.make_opsetid("", 17)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=9), file)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def model(images):
        return torch.from_numpy(session.run(["logits"], {"pixels": images.numpy()})[0])

    return model, file


def by_function(name):
    """Return the builder of a model that a function of `public_models.py` returns."""

    def build(tmp_path):
        return getattr(public_models, name)(), f"{public_models.__file__}:{name}"

    return build


NAMES = (
    *("efficientnet", "mambaout", "nfnet", "hugging_face_behind_normalization"),
    *("scripted", "mixed_modes", "spectral_norm", "functional", "ensemble", "adapted"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        build: folder to the model and its reference.
        options: of the library, for what the files of the model state.
        attack: cheap, and without gradients where the model has none.
        side: of the images, in pixels.
    """

    build: Callable[[Path], tuple[Any, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    attack: dict[str, Any] = field(default_factory=lambda: {"name": "apgd", "steps": 4})
    side: int = SIDE


QUERIES = {"name": "square", "queries": 60}
KINDS = {
    "timm, folder": Kind(as_folder_of_timm, NORMALIZED),
    "timm, safetensors": Kind(as_safetensors, NORMALIZED),
    "transformers, folder": Kind(as_folder_of_transformers, NORMALIZED),
    "exported program": Kind(as_exported_program),
    "ONNX": Kind(as_onnx, attack=QUERIES),
    "in_numpy": Kind(by_function("in_numpy"), attack=QUERIES),
    "googlenet": Kind(by_function("googlenet"), attack={"name": "apgd", "steps": 2}),
    **{name: Kind(by_function(name)) for name in NAMES},
}
SLOW = {"inception": Kind(by_function("inception"), side=75)}


@pytest.mark.parametrize(
    "kind",
    [
        *(pytest.param(kind, id=name) for name, kind in KINDS.items()),
        *(pytest.param(kind, id=name, marks=pytest.mark.slow) for name, kind in SLOW.items()),
    ],
)
def test_both_doors_give_the_same_figures(kind, rampart, tmp_path):
    model, reference = kind.build(tmp_path)
    images, labels = labeled(model, kind)
    for split, copies in (("train", images.flip(2)), ("val", images.flip(3)), ("test", images)):
        write_pictures(tmp_path / "photos" / split, copies, labels)
    settings = {"checks": False, "strengths": [f"{k}/1020" for k in (1, 4, 16, 64, 128)]}
    data = (images, labels)
    own = library.evaluate(model, data, "128/1020", kind.attack, **settings, **kind.options)
    settings["attack"] = kind.attack
    done = rampart(
        "evaluate",
        reference,
        *(f"data={tmp_path / 'photos'}", f"data.image_size={kind.side}", "threat.eps=128/1020"),
        *(f"evaluation.{key}={json.dumps(value)}" for key, value in settings.items()),
        *("-o", tmp_path / "out"),
    )
    assert done.status == 0, done.err
    commands = load_record(tmp_path / "out")
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(own, column), getattr(commands, column), column)
    assert own.clean == 1
    assert len(np.unique(own.critical)) > 1, "images of one strength would show no mix-up"


def test_at_least_twelve_kinds_are_compared():
    assert len(KINDS) >= 12
    assert set(NAMES) <= {name for name, value in vars(public_models).items() if callable(value)}
