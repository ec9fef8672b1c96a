import pytest
import torch
from torch import nn

from rampart.errors import ModelError
from rampart.evaluation.checks.answers import check_mode
from rampart.models.external.exported import in_batches
from rampart.models.external.load import load_model


def export(model, path, batch=2, dynamic=None):
    shapes = ({0: dynamic},) if dynamic else None
    program = torch.export.export(model, (torch.rand(batch, 3, 8, 8),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return str(path)


@pytest.mark.parametrize(
    "dynamic", [None, torch.export.Dim("n"), torch.export.Dim("n", min=3, max=4)]
)
def test_a_program_for_any_batch(network, pixels, tmp_path, dynamic):
    reference = export(network, tmp_path / "a.pt2", 3, dynamic)
    found = load_model(reference)
    for n in (1, 2, 3, 7):
        torch.testing.assert_close(found.model(pixels[:n]), network(pixels[:n]))
    assert (found.source, found.num_classes, found.input_size) == ("exported", 4, (3, 8, 8))
    assert found.differentiable
    assert found.model.train() is found.model.eval()
    assert len(list(found.model.parameters())) == 4


def test_gradients_equal_those_of_the_model(network, pixels, tmp_path):
    found = load_model(export(network, tmp_path / "a.pt2"))
    gradients = []
    for model in (network, found.model):
        images = pixels.clone().requires_grad_(True)
        gradients += torch.autograd.grad(model(images).square().sum(), images)
    torch.testing.assert_close(*gradients)


def test_a_program_without_gradients(network, tmp_path):
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            return {"logits": self.network(images.detach())}

    assert not load_model(export(Detached(), tmp_path / "a.pt2")).differentiable


def test_normalization_and_fingerprint(network, pixels, tmp_path):
    reference = export(network, tmp_path / "a.pt2")
    found = load_model(reference, mean=[0.5] * 3, std=[0.5] * 3)
    torch.testing.assert_close(found.model(pixels), network(2 * pixels - 1))
    assert found.fingerprint == load_model(reference).fingerprint
    nn.init.zeros_(network[0].weight)
    assert load_model(export(network, tmp_path / "b.pt2")).fingerprint != found.fingerprint


def test_unsuitable_files_are_refused(network, tmp_path, capfd):
    (tmp_path / "rubbish.pt2").write_bytes(b"no archive")
    with pytest.raises(ModelError, match="cannot be opened.*torch.export.save") as error:
        load_model(str(tmp_path / "rubbish.pt2"))
    assert "\n" not in str(error.value)
    # Torch would print a traceback of its own.
    assert "Traceback" not in "".join(capfd.readouterr())
    program = torch.export.export(nn.Linear(3, 2), (torch.rand(2, 3),))
    torch.export.save(program, tmp_path / "flat.pt2")
    with pytest.raises(ModelError, match=r"takes \(2, 3\) torch.float32: expected one batch"):
        load_model(str(tmp_path / "flat.pt2"))
    reference = export(network, tmp_path / "a.pt2")
    with pytest.raises(ModelError, match="fails on images of 3 x 9 x 9"):
        load_model(reference, image_size=9)


@pytest.mark.parametrize(("least", "most"), [(1, None), (5, None), (5, 5), (2, 3), (10, 10)])
@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_batches_are_cut_and_filled(least, most, n):
    seen = []

    def ask(images):
        seen.append(len(images))
        return images + 1

    images = torch.arange(n)
    assert torch.equal(in_batches(ask, images, least, most), images + 1)
    assert all(least <= size and size <= (most or n + least) for size in seen)


def test_a_program_never_counts_as_in_train_mode(network, pixels, tmp_path):
    model = load_model(export(network, tmp_path / "a.pt2")).model
    assert check_mode(model, pixels).status == "pass"
    assert not any(module.training for module in model.eval().modules())
