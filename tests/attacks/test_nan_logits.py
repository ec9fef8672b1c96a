"""A point whose logits are not finite counts as misclassified, and no attack loses it."""

import pytest
import torch

from rampart.attacks.catalogue import ATTACKS
from rampart.attacks.square import Square
from rampart.errors import RampartWarning
from rampart.logits import is_correct
from rampart.runtime import Noise

EPS = 0.013
GRID = torch.arange(8 * 3 * 6 * 6).mul(7).remainder(256).view(8, 3, 6, 6) / 255


def linear(images):
    flat = images.flatten(1)
    weight = Noise.like(flat[:1], 3).normal(2, flat.shape[1])[0].T
    return flat @ (weight / 30)


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("name", sorted(ATTACKS.names()))
def test_every_attack_finds_logits_that_are_finite_on_gray_levels_only(name, norm, number):
    def model(images):
        levels = 255 * images
        on_grid = ((levels - levels.round()).abs() < 1e-3).flatten(1).all(1)
        return linear(images).masked_fill(~on_grid[:, None], number)

    labels = linear(GRID).argmax(1)
    assert is_correct(model(GRID), labels).all()
    attack = ATTACKS.build(name, {"norm": norm})
    eps = {"linf": EPS, "l2": 0.1, "l1": 1.0}[norm]
    points = attack(model, GRID, labels, eps)
    assert points.isfinite().all()
    assert not is_correct(model(points), labels).any()


def test_square_on_a_model_that_writes_into_its_input_equals_its_copying_twin():
    def in_place(images):
        return linear(images.sub_(0.5).div_(0.25))

    def twin(images):
        return linear((images - 0.5) / 0.25)

    labels, attack = twin(GRID).argmax(1), Square(queries=50)
    before = GRID.clone()
    with pytest.warns(RampartWarning, match="in_place writes into its input"):
        points = attack(in_place, GRID, labels, 0.2)
    assert torch.equal(points, attack(twin, GRID, labels, 0.2))
    assert torch.equal(GRID, before)
    assert not is_correct(twin(points), labels).all()
