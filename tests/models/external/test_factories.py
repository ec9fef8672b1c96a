import sys

import pytest
import torch

from rampart.errors import InvalidArgument, ModelError, UnknownName
from rampart.models.external.load import load_model

CODE = """
import torch
from beside import SCALE

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 4)
        torch.nn.init.constant_(self.fc.weight, SCALE)
    def forward(self, images):
        return self.fc(images.mean((2, 3)))

class Zoo:
    network = Network

ready = Network()
number = 3

def function():
    return lambda images: images.mean((2, 3))

def broken():
    raise ValueError("no such checkpoint\\nand more")

def nothing():
    return None

def logits(images):
    return images
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("SCALE = 2.0")
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    yield path
    for name in ("beside", "mine"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["Network", "Zoo.network", "ready"])
def test_a_model_in_a_file(file, name):
    before = list(sys.path)
    found = load_model(f"{file}:{name}", in_chans=3, image_size=8)
    assert sys.path == before
    logits = found.model(torch.ones(2, 3, 8, 8))
    torch.testing.assert_close(logits, logits[:1, :1].expand(2, 4), atol=2, rtol=0)
    assert (found.source, found.num_classes, found.input_size) == ("factory", 4, (3, 8, 8))
    assert not found.model.training


def test_a_module_in_the_current_folder(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    found = load_model("mine:function", in_chans=3, image_size=8)
    assert found.num_classes == 3
    assert found.differentiable
    assert load_model("mine:function").input_size is None


def test_normalization_on_request(file):
    images = torch.rand(2, 3, 8, 8)
    found = load_model(f"{file}:function", mean=[0.5] * 3, std=[0.5] * 3)
    torch.testing.assert_close(found.model(images), 2 * images.mean((2, 3)) - 1)


def test_the_fingerprint_depends_on_the_code_and_the_weights(file):
    first = load_model(f"{file}:function").fingerprint
    assert load_model(f"{file}:function").fingerprint == first
    file.write_text(CODE + "\n# another")
    assert load_model(f"{file}:function").fingerprint != first
    random = {load_model(f"{file}:Network").fingerprint for _ in range(2)}
    assert len(random) == 2


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("broken", ModelError, r"raised ValueError: no such checkpoint.*mine.py:\d+"),
        ("logits", ModelError, r"without arguments, raised TypeError: logits\(\) missing"),
        ("nothing", ModelError, "returned a NoneType; expected a torch module or a callable"),
        ("number", ModelError, "expected a function that returns it, got a int"),
        ("networc", UnknownName, "'networc': did you mean Network"),
        ("Zoo.nothing", UnknownName, "known: network"),
    ],
)
def test_an_error_names_the_function(file, name, kind, message):
    with pytest.raises(kind, match=message) as error:
        load_model(f"{file}:{name}", in_chans=3, image_size=8)
    assert name.rpartition(".")[2] in str(error.value)
    assert "\n" not in str(error.value)


def test_code_that_cannot_be_imported(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    with pytest.raises(ModelError, match="module 'absent'"):
        load_model("absent.part:f")
    with pytest.raises(ModelError, match=r"file 'absent.py'"):
        load_model("absent.py:f")
    file.write_text("import absent")
    for reference in ("mine:f", "mine.py:f"):
        with pytest.raises(ModelError, match=r"raised ModuleNotFoundError: No module.*mine.py:1"):
            load_model(reference)
    file.write_text("def f(:")
    with pytest.raises(ModelError, match="raised SyntaxError"):
        load_model("mine.py:f")


def test_a_bare_network_of_timm_needs_its_mean(tmp_path):
    code = (
        "import timm\ndef network():\n    return timm.create_model('test_resnet', num_classes=4)\n"
    )
    (tmp_path / "bare.py").write_text(code)
    reference = f"{tmp_path / 'bare.py'}:network"
    with pytest.raises(InvalidArgument, match=r"mean=None.*mean=\(0.5, 0.5, 0.5\)"):
        load_model(reference, image_size=32)
    given = {"mean": [0.5] * 3, "std": [0.5] * 3}
    assert load_model(reference, image_size=32, **given).num_classes == 4
