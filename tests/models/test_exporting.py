"""Writing programs; `tests/recipes/test_export.py` compares what they compute."""

import pytest
import torch
from torch import nn

from rampart.errors import ModelError, UnknownName
from rampart.models.exporting import SUFFIXES, Program, suffix_of, write_program
from rampart.models.external.load import load_model
from rampart.models.normalized import NormalizedModel
from rampart.models.program_notes import ProgramNotes

EXAMPLE = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Wrapped(nn.Module):
    """Returns its logits in a mapping, and behaves otherwise in train mode."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(192, 3)
        self.dropout = nn.Dropout(0.9)

    def forward(self, images):
        return {"logits": self.dropout(self.layer(images.flatten(1))), "more": images}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return NormalizedModel(Wrapped(), (0.5,) * 3, (0.25,) * 3, 8)


def test_a_program_is_the_model_in_eval_mode(model):
    inside, outside = Program(model, True), Program(model, False)
    normalized = (EXAMPLE - 0.5) / 0.25
    assert inside(EXAMPLE).equal(outside(normalized))
    assert inside(EXAMPLE).equal(model.eval()(EXAMPLE)["logits"])
    pairs = zip(inside.parameters(), model.parameters(), strict=True)
    assert all(own.data_ptr() != other.data_ptr() for own, other in pairs)


@pytest.mark.parametrize("to", SUFFIXES)
def test_the_notes_are_read_again_and_the_model_is_left_alone(model, to, tmp_path):
    if to == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    path = tmp_path / f"model{suffix_of(to)}"
    mean = ([0.5] * 3, [0.25] * 3)
    write_program(model, path, to, ProgramNotes(["a", "b", "c"], (3, 8, 8), *mean), EXAMPLE)
    assert model.training
    found = load_model(str(path))
    assert found.class_names == ("a", "b", "c")
    assert found.input_size == (3, 8, 8)
    expected = model.eval()(EXAMPLE)["logits"]
    torch.testing.assert_close(found.model(EXAMPLE), expected)
    # What the user states counts more than the file.
    other = load_model(str(path), mean=[0.0] * 3, std=[1.0] * 3)
    torch.testing.assert_close(other.model((EXAMPLE - 0.5) / 0.25), expected)


def test_what_no_format_can_express(model, tmp_path):
    class Rounded(nn.Module):
        def forward(self, images):
            return torch.tensor(images.mean((2, 3)).tolist())

    model.backbone = Rounded()
    with pytest.raises(ModelError, match="cannot be exported to pt2.*try onnx or torchscript"):
        write_program(model, tmp_path / "a.pt2", "pt2", ProgramNotes(), EXAMPLE)
    with pytest.raises(UnknownName, match="did you mean torchscript"):
        suffix_of("torchscrip")
