"""Training with noisy labels in a loop of one's own."""

import pytest
import torch
from torch import nn

from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument, RunError
from rampart.integrations.robust import RobustLoss
from rampart.objectives.noisy_labels import NoisyLabels
from rampart.objectives.separation import EASY
from rampart.runtime import scoped_seed
from rampart.schedules.hinge import Fix
from rampart.units import Horizon

IMAGES = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0])
GUIDANCE = torch.tensor([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])


def robust(epochs=2):
    with scoped_seed(0, "model"):
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    objective = NoisyLabels().guided(GUIDANCE, LABELS)
    options = {"schedule": Fix(), "attack": Pgd(steps=1), "objective": objective}
    return RobustLoss(model, "8/255", Horizon(epochs, 2), **options), objective.separation


def test_the_images_are_separated_after_each_epoch_and_the_state_holds_it():
    loss, separation = robust()
    for half in (torch.tensor([0, 1]), torch.tensor([2, 3])):
        assert (separation.own == -1).all(), "an epoch has two steps"
        loss(IMAGES[half], LABELS[half], half).backward()
        loss.step()
    assert (separation.own >= 0).all()
    assert separation.groups[0] == EASY
    other, theirs = robust()
    other.load_state_dict(loss.state_dict())
    assert torch.equal(theirs.own, separation.own)
    with pytest.raises(RunError, match="objective"):
        other.load_state_dict({"scheduler": loss.state_dict()["scheduler"]})


def test_the_numbers_of_the_images_are_required():
    loss, _ = robust()
    with pytest.raises(InvalidArgument, match="indices"):
        loss(IMAGES, LABELS)
