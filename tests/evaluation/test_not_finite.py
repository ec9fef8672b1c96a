"""Samples whose logits are not finite: misclassified at every strength, counted and named."""

import numpy as np
import pytest
import torch

from rampart.attacks.autoattack import AutoAttack
from rampart.attacks.pgd import Pgd
from rampart.attacks.square import Square
from rampart.data.batches import Batch
from rampart.evaluation.accuracy import evaluate_accuracy
from rampart.evaluation.criterion import Criterion
from rampart.evaluation.critical import critical_strengths
from rampart.logits import NO_CLASS

GRID = (0.0, 4 / 255, 8 / 255)
#: Gray images of class 0, far from the boundary; the bright ones give logits that are NaN.
BRIGHT = torch.tensor([51, 230, 77, 242, 64, 199], dtype=torch.uint8)
IMAGES = BRIGHT[:, None, None, None].expand(-1, 3, 4, 4).contiguous()
LABELS = torch.zeros(len(IMAGES), dtype=torch.int64)
#: The last image is finite itself and NaN in its neighborhood.
CLEAN, ATTACKED = [1, 3], [5]


def model(images):
    level = images.mean((1, 2, 3))
    logits = torch.stack([3 - level, level, level / 2], 1)
    return logits.masked_fill((level > 0.785)[:, None], torch.nan)


def batches(size):
    for rows in torch.arange(len(IMAGES)).split(size):
        yield Batch(IMAGES[rows], LABELS[rows], rows)


@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize(
    ("attack", "options"),
    [
        (AutoAttack(version="short"), {}),
        (AutoAttack(version="short"), {"mode": "fast"}),
        (AutoAttack(version="rand"), {}),
        (AutoAttack(version="short"), {"criterion": Criterion(top_k=2)}),
        (AutoAttack(version="short"), {"criterion": Criterion(target="likely")}),
        (Pgd(), {}),
        (Square(queries=300), {}),
    ],
    ids=str,
)
def test_they_are_misclassified_at_every_strength(attack, options, size):
    found = critical_strengths(model, batches(size), attack, GRID, 0, **options)
    assert found.critical[CLEAN].tolist() == [0, 0]
    assert found.critical[ATTACKED].tolist() == [1]
    assert found.predictions.tolist() == [NO_CLASS if row in CLEAN else 0 for row in range(6)]
    assert np.flatnonzero(~found.finite).tolist() == sorted(CLEAN + ATTACKED)
    robust = [0, 2, 4]
    assert (found.critical[robust] == len(GRID)).all()


def test_the_accuracy_of_validation_counts_them_as_misclassified():
    found = evaluate_accuracy(model, batches(6), Pgd(), 8 / 255)
    assert (found.clean, found.robust) == (4 / 6, 3 / 6)
