import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from rampart.errors import ModelError, RunError
from rampart.models.given import own_model
from rampart.models.normalized import NormalizedModel
from rampart.models.saving import save_model
from rampart.recipes.config.loading import load_config
from rampart.recipes.saved_model import load_saved_model, read_description
from rampart.runs.run_folder import RunFolder

SIZE = (3, 4, 4)
IMAGES = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(1)
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    network = NormalizedModel(module, (0.5,) * 3, (0.1,) * 3, 4)
    return own_model(network, num_classes=5, input_size=SIZE).eval()


@pytest.fixture
def folder(model, tmp_path):
    found = RunFolder(tmp_path / "run")
    save_model(model, found.model, list("abcde"))
    return found


def config(name):
    return load_config(None, [f"model.name={name}", "data.name=somewhere"])


def test_a_function_is_called_again(folder, model, tmp_path):
    code = tmp_path / "mine.py"
    code.write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(48, 5))\n"
    )
    assert load_saved_model(folder, config(f"{code}:net"))(IMAGES).equal(model(IMAGES))
    code.write_text("from torch import nn\ndef net():\n    return nn.Linear(48, 5)\n")
    with pytest.raises(ModelError, match="do not fit"):
        load_saved_model(folder, config(f"{code}:net"))


def test_a_module_is_given_again_with_or_without_its_normalization(folder, model):
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    for given in (module, NormalizedModel(module, (0.1,) * 3, (0.2,) * 3, 4)):
        loaded = load_saved_model(folder, config("python:Net"), given)
        assert loaded(IMAGES).equal(model(IMAGES))
    with pytest.raises(ModelError, match="load_run"):
        load_saved_model(folder, config("python:Net"))


def test_a_weight_that_is_not_finite_is_named(folder):
    weights = folder.model / "model.safetensors"
    read = load_file(weights)
    read["1.bias"][2] = torch.nan
    save_file(read, weights)
    (folder.model / "checksums.json").unlink()
    with pytest.raises(ModelError, match=r"1 of 5 weights in '1\.bias'"):
        load_saved_model(
            folder, config("python:Net"), nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
        )


def test_a_folder_without_a_description(folder):
    (folder.model / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json does not match its checksum"):
        load_saved_model(folder, config("resnet18"))
    (folder.model / "checksums.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json"):
        load_saved_model(folder, config("resnet18"))
    (folder.model / "config.json").write_text(json.dumps({"module": "a.B"}))
    with pytest.raises(ModelError, match=r"a\.B"):
        load_saved_model(folder, config("resnet18"))


def test_a_run_without_its_model_says_so(tmp_path):
    with pytest.raises(ModelError, match="lacks its model"):
        read_description(RunFolder(tmp_path))
