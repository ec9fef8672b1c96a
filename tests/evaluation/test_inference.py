import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from rampart.attacks.apgd import Apgd
from rampart.attacks.frozen import module_of
from rampart.errors import ModelError
from rampart.evaluation.inference import (
    ROWS,
    QueriedModel,
    _in_batches,
    device_of,
    logits_of,
    rounding_of_batches,
)


class Recording(nn.Module):
    """Records its inputs; computes in their precision."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.queried: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.queried.append(images)
        return self.layer(images.flatten(1))


@pytest.mark.parametrize("n", [0, 1, 5, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 2])
def test_every_batch_has_the_same_shape_and_only_real_rows_are_counted(n):
    model, images = Recording(), torch.rand(n, 1, 2, 2)
    queried = QueriedModel(model)
    points = images.clone().requires_grad_()
    logits = queried(points)
    assert logits.shape == (n, 3)
    torch.testing.assert_close(logits, model.layer(images.flatten(1)))
    assert [len(given) for given in model.queried] == [ROWS] * max(1, -(-n // ROWS))
    assert all(given.is_contiguous() for given in model.queried)
    rows = {tuple(row.flatten().tolist()) for given in model.queried for row in given}
    assert not n or rows == {tuple(row.flatten().tolist()) for row in images}
    assert queried.passes == (n, 0)
    (slope,) = torch.autograd.grad(logits[:, 0].sum(), points)
    torch.testing.assert_close(slope.flatten(1), model.layer.weight[0].expand(n, -1))
    assert queried.passes == (n, n)


def test_other_devices_get_one_filled_batch():
    given = []

    def model(images: Tensor) -> Tensor:
        given.append(len(images))
        return images.flatten(1)

    for n in (5, 40):
        _in_batches(model, torch.rand(n, 1, 2, 2, device="meta"), None)
    assert given == [ROWS, 3 * ROWS]


def test_a_compiled_network_gets_batches_of_one_size(monkeypatch):
    """Each other size would be compiled anew."""
    given = []
    network = torch.nn.Flatten()
    network.register_forward_pre_hook(lambda _, inputs: given.append(len(inputs[0])))
    monkeypatch.setattr("rampart.evaluation.inference.is_compiled", lambda model: model is network)
    # Only a device other than the CPU shows the difference, and "meta" has no mixed precision.
    monkeypatch.setattr("rampart.evaluation.inference.single_precision", lambda _: nullcontext())
    QueriedModel(network)(torch.rand(40, 1, 2, 2, device="meta"))
    assert given == [ROWS, ROWS, ROWS]


def test_the_model_gets_a_copy_of_the_images():
    images = torch.rand(ROWS + 3, 1, 2, 2)
    before = images.clone()
    logits_of(lambda pixels: pixels.zero_().flatten(1), images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("size", [4, 7, 8])
def test_a_row_and_its_gradient_are_the_same_in_any_batch(size):
    """Odd sizes, at which a matrix product may round a row by its place."""
    net = nn.Sequential(nn.Conv2d(1, 6, 2, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    net(torch.rand(1, 1, size, size))
    images = torch.rand(40, 1, size, size)

    def ask(rows: Tensor) -> tuple[Tensor, Tensor]:
        points = images[rows].requires_grad_()
        logits = QueriedModel(net)(points)
        (slope,) = torch.autograd.grad(logits.logsumexp(1).sum(), points)
        return logits, slope

    whole = ask(torch.arange(40))
    for rows in (torch.arange(1), torch.arange(17), torch.randperm(40), torch.arange(3, 40, 5)):
        for part, all_rows in zip(ask(rows), whole, strict=True):
            assert torch.equal(part, all_rows[rows])


def test_this_processor_rounds_equally_in_every_batch():
    """Also if torch is imported first: the setting counts from the first product on."""
    assert rounding_of_batches(torch.device("cpu")) == 0
    script = (
        "import torch\n"
        "from rampart.evaluation.inference import rounding_of_batches\n"
        "assert rounding_of_batches(torch.device('cpu')) == 0"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_device_that_rounds_by_the_place_is_measured(monkeypatch):
    def by_place(model, images, rows):
        place = torch.arange(len(images))[:, None]
        return model(images) * (1 + 1e-6 * place)

    monkeypatch.setattr("rampart.evaluation.inference._in_batches", by_place)
    assert 1e-6 < rounding_of_batches(torch.device("cpu")) < 1e-3


def test_every_backward_counts_and_forwards_without_gradients_count_none():
    queried, points = QueriedModel(Recording()), torch.rand(20, 1, 2, 2, requires_grad=True)
    logits = queried(points)
    for column in range(3):
        torch.autograd.grad(logits[:, column].sum(), points, retain_graph=True)
    with torch.no_grad():
        queried(points)
    assert queried.passes == (40, 60)


def test_rows_that_fill_a_batch_are_counted_as_rows():
    """Twenty images take two batches of 16; a wrapper of the model counts the same."""
    seen = [0, 0]

    def count(gradient):
        seen[1] += len(gradient)

    def model(images):
        seen[0] += len(images)
        if images.requires_grad:
            images.register_hook(count)
        return images.flatten(1)

    queried, points = QueriedModel(model), torch.rand(20, 1, 2, 2, requires_grad=True)
    torch.autograd.grad(queried(points).sum(), points)
    with torch.no_grad():
        queried(points[:3])
    assert queried.passes == (23, 20)
    assert [queried.rows_forward, queried.rows_backward] == seen == [48, 32]
    assert QueriedModel.of(queried) is queried


def test_mixed_precision_is_off_and_half_inputs_become_float32():
    model = Recording()
    queried = QueriedModel(model)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.rand(2, 1, 2, 2)).dtype == torch.bfloat16
        assert queried(torch.rand(2, 1, 2, 2)).dtype == torch.float32
        assert logits_of(model, torch.rand(2, 1, 2, 2)).dtype == torch.float32
    queried(torch.rand(2, 1, 2, 2).half())
    assert model.queried[-1].dtype == torch.float32
    assert logits_of(lambda images: images.flatten(1).half(), torch.rand(2, 1, 2, 2)).dtype == (
        torch.float32
    )


def test_attacks_freeze_the_wrapped_module():
    model = Recording().train()
    queried = QueriedModel(model)
    assert module_of(queried) is model
    Apgd(steps=2)(queried, torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64), 0.1, 0)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert queried.passes == (9, 6)


@pytest.mark.parametrize("function", [lambda images: "label", lambda images: images.sum()])
def test_other_outputs_than_logits_are_refused(function):
    with pytest.raises(ModelError, match="expected logits"):
        QueriedModel(function)(torch.rand(2, 1, 2, 2))


def test_the_device_is_that_of_the_parameters():
    assert device_of(Recording().to("meta")) == torch.device("meta")
    assert device_of(QueriedModel(Recording())) == torch.device("cpu")
    assert device_of(lambda images: images) == torch.device("cpu")
