import pytest
import torch
from torch import Tensor, nn

from rampart.attacks.apgd import Apgd
from rampart.attacks.frozen import module_of
from rampart.evaluation.inference import LEAST_ROWS, Asked, device_of, logits_of


class Recording(nn.Module):
    """Notes what it is given; computes in whatever precision it is asked in."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.asked: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.asked.append(images)
        return self.layer(images.flatten(1))


@pytest.mark.parametrize("n", [1, 5, LEAST_ROWS - 1, LEAST_ROWS, LEAST_ROWS + 1])
def test_small_batches_are_filled_up_and_only_real_rows_counted(n):
    model, images = Recording(), torch.rand(n, 1, 2, 2)
    asked = Asked(model)
    points = images.clone().requires_grad_()
    logits = asked(points)
    assert logits.shape == (n, 3)
    torch.testing.assert_close(logits, model.layer(images.flatten(1)))
    (given,) = model.asked
    assert len(given) == max(n, LEAST_ROWS)
    assert {tuple(row.flatten().tolist()) for row in given} == {
        tuple(row.flatten().tolist()) for row in images
    }
    assert asked.passes == (n, 0)
    (slope,) = torch.autograd.grad(logits[:, 0].sum(), points)
    torch.testing.assert_close(slope.flatten(1), model.layer.weight[0].expand(n, -1))
    assert asked.passes == (n, n)


def test_a_row_is_the_same_in_any_small_batch():
    model = Asked(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)))
    images = torch.rand(LEAST_ROWS, 1, 8, 8)
    whole = model(images)
    for n in (1, 3, 15):
        assert torch.equal(model(images[:n]), whole[:n])


def test_every_backward_counts_and_forwards_without_gradients_count_none():
    asked, points = Asked(Recording()), torch.rand(20, 1, 2, 2, requires_grad=True)
    logits = asked(points)
    for column in range(3):
        torch.autograd.grad(logits[:, column].sum(), points, retain_graph=True)
    with torch.no_grad():
        asked(points)
    assert asked.passes == (40, 60)


def test_mixed_precision_is_off_inside_and_halves_are_widened():
    model = Recording()
    asked = Asked(model)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.rand(2, 1, 2, 2)).dtype == torch.bfloat16
        assert asked(torch.rand(2, 1, 2, 2)).dtype == torch.float32
        assert logits_of(model, torch.rand(2, 1, 2, 2)).dtype == torch.float32
    asked(torch.rand(2, 1, 2, 2).half())
    assert model.asked[-1].dtype == torch.float32
    assert logits_of(lambda images: images.flatten(1).half(), torch.rand(2, 1, 2, 2)).dtype == (
        torch.float32
    )


def test_attacks_see_through_to_the_module():
    model = Recording().train()
    asked = Asked(model)
    assert module_of(asked) is model
    Apgd(steps=2)(asked, torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64), 0.1, 0)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert asked.passes == (9, 6)


def test_what_is_no_table_of_logits_is_passed_on():
    assert Asked(lambda images: "label")(torch.rand(2, 1, 2, 2)) == "label"
    assert Asked(lambda images: images.sum())(torch.rand(2, 1, 2, 2)).ndim == 0


def test_the_device_is_that_of_the_parameters():
    assert device_of(Recording().to("meta")) == torch.device("meta")
    assert device_of(Asked(Recording())) == torch.device("cpu")
    assert device_of(lambda images: images) == torch.device("cpu")
