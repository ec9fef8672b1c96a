import warnings

import pytest
import torch
from torch import nn

from rampart.errors import ModelError
from rampart.models.external.load import load_model


def trace(model, path, size=(3, 8, 8)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(model, torch.rand(2, *size)), path)
    return str(path)


def test_a_program_with_gradients(network, pixels, tmp_path):
    found = load_model(trace(network, tmp_path / "a.torchscript"), image_size=8)
    torch.testing.assert_close(found.model(pixels), network(pixels))
    assert (found.source, found.num_classes, found.input_size) == ("torchscript", 4, (3, 8, 8))
    assert found.differentiable
    assert found.class_names is None
    scaled = load_model(
        str(tmp_path / "a.torchscript"), image_size=8, mean=[0.5] * 3, std=[0.5] * 3
    )
    torch.testing.assert_close(scaled.model(pixels), network(2 * pixels - 1))
    assert scaled.fingerprint == found.fingerprint


def test_a_file_of_another_program_does_not_state_its_images(network, tmp_path):
    assert load_model(trace(network, tmp_path / "a.torchscript")).input_size is None


def test_unsuitable_files_are_refused(network, tmp_path):
    (tmp_path / "rubbish.torchscript").write_bytes(b"no archive")
    with pytest.raises(ModelError, match=r"rubbish.torchscript' cannot be opened") as error:
        load_model(str(tmp_path / "rubbish.torchscript"))
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match="does not exist"):
        load_model(str(tmp_path / "none.torchscript"))
    flat = trace(nn.Linear(3, 2), tmp_path / "flat.torchscript", (3,))
    with pytest.raises(ModelError, match="fails on images of 3 x 8 x 8"):
        load_model(flat, image_size=8)
