"""Exported files predict what the run predicts."""

import shutil

import pytest
import torch
from torch import nn

import rampart
from rampart.errors import InvalidArgument, MissingExtra, ModelError, UnknownName
from rampart.models.external.load import load_model
from rampart.models.normalized import NormalizedModel
from rampart.recipes.config.loading import load_config
from rampart.recipes.evaluation.evaluate_named import evaluate_model, evaluate_run
from rampart.recipes.export import export_run
from rampart.recipes.predict import predict_model, predict_run
from rampart.recipes.train import train_run

FORMATS = ("onnx", "pt2", "torchscript")


@pytest.fixture(scope="module")
def trained(tiny_settings, tmp_path_factory):
    return train_run(load_config(None, tiny_settings), tmp_path_factory.mktemp("run") / "run").path


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def require(to):
    if to == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("normalization", ["inside", "outside"])
@pytest.mark.parametrize("to", FORMATS)
def test_an_exported_file_predicts_the_same(run, photo_folder, to, normalization):
    require(to)
    done = export_run(run, to, normalization=normalization)
    assert done.path == run / "model" / f"model.{to}"
    assert done.difference < 1e-4
    assert done.differentiable == (to != "onnx")
    assert any("square" in line for line in done.lines()) == (to == "onnx")
    own = predict_run(run, photo_folder / "test")
    # Also with the normalization outside, because the file states it.
    found = predict_model(str(done.path), photo_folder / "test")
    assert found.class_names == own.class_names == ("blue", "green", "red")
    torch.testing.assert_close(found.probabilities, own.probabilities, atol=1e-4, rtol=0)
    assert found.classes.equal(own.classes)


@pytest.mark.parametrize("to", FORMATS)
def test_the_program_itself_takes_what_is_stated(run, to):
    """Other tools call the program without Rampart."""
    require(to)
    model = rampart.load_run(run).model
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for normalization, given in (
        ("inside", images),
        ("outside", (images - model.mean) / model.std),
    ):
        path = export_run(run, to, normalization=normalization).path
        if to == "onnx":
            import onnxruntime

            session = onnxruntime.InferenceSession(str(path))
            found = torch.from_numpy(session.run(["logits"], {"images": given.numpy()})[0])
        elif to == "pt2":
            found = torch.export.load(path).module()(given)
        else:
            with pytest.warns(FutureWarning):
                program = torch.jit.load(path)
            found = program(given)
        torch.testing.assert_close(found, model(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("to", FORMATS)
def test_an_exported_file_is_evaluated_like_the_run(run, photo_folder, to, tmp_path):
    require(to)
    attack = "square" if to == "onnx" else "apgd"
    cost = "queries=20" if to == "onnx" else "steps=2"
    settings = (f"evaluation.attack={attack}", f"evaluation.attack.{cost}", "threat.eps=8/255")
    settings += ("evaluation.checks=false",)
    _, own = evaluate_run(run, settings, tmp_path / "own")
    path = export_run(run, to).path
    more = (*settings, f"data={photo_folder}", "data.image_size=16")
    _, found = evaluate_model(str(path), more, tmp_path / "found")
    assert found.metadata["model"]["matched_by"] != "position", "the file names its classes"
    assert found.predictions.tolist() == own.predictions.tolist()
    assert found.accuracy == pytest.approx(own.accuracy, abs=0.1)


class Fixed(nn.Module):
    """Reads the size of its batch as a number, or the values of its images."""

    def __init__(self, by_value):
        super().__init__()
        self.layer = nn.Linear(768, 3)
        self.by_value = by_value

    def forward(self, images):
        if self.by_value:
            scale = 1.0 if float(images.detach().mean()) > 0.4 else 2.0
            return scale * self.layer(images.flatten(1))
        return self.layer(images.reshape(int(images.shape[0]), -1))


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("to", FORMATS)
def test_a_model_that_a_format_cannot_express_leaves_no_file(run, to, by_value):
    require(to)
    loaded, files = rampart.load_run(run), list((run / "model").iterdir())
    torch.manual_seed(0)
    module = Fixed(by_value)
    wrapped = NormalizedModel(module, (0.0,) * 3, (1.0,) * 3, 16)
    odd = rampart.FinetunedRun(run, loaded.config, wrapped, loaded.class_names)
    with pytest.raises(ModelError, match=f"exported to {to}") as error:
        odd.export(to)
    assert "\n" not in str(error.value)
    assert list((run / "model").iterdir()) == files


def test_mistakes_are_named_before_the_work(run, monkeypatch, tmp_path):
    with pytest.raises(UnknownName, match="'onx'.*did you mean onnx"):
        export_run(run, "onx")
    with pytest.raises(InvalidArgument, match=r"output.*ends in \.pt2"):
        export_run(run, "pt2", tmp_path / "model.pt")
    with pytest.raises(InvalidArgument, match="normalization=within"):
        export_run(run, "pt2", normalization="within")
    monkeypatch.setattr("rampart.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rampart-rft\[onnx\]"):
        export_run(run, "onnx")


def test_a_model_of_your_own_is_exported_in_python(tmp_path):
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)
    images = torch.randint(0, 256, (24, 3, 8, 8), dtype=torch.uint8)
    data = tuple((part, torch.arange(len(part)) % 3) for part in images.split([12, 6, 6]))
    run = rampart.finetune(
        *(nn.Sequential(*layers), data, "2/255"),
        output=tmp_path / "own",
        epochs=2,
        batch_size=8,
        schedule="fix",
        attack={"name": "apgd", "steps": 1},
        evaluate=False,
        monitors=False,
        progress=False,
    )
    path = run.export("pt2", tmp_path / "own.pt2").path
    found = load_model(str(path))
    with torch.no_grad():
        own = run.model(images / 255)
        torch.testing.assert_close(found.model(images / 255), own, atol=1e-4, rtol=0)
    assert found.class_names == run.class_names
