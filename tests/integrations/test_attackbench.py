"""Attacks with the call of AttackBench, against closed forms; AttackBench itself is not run."""

import pytest
import torch

from rampart.attacks.apgd import Apgd
from rampart.attacks.pgd import Pgd
from rampart.errors import InvalidArgument
from rampart.integrations.attackbench import AttackBenchAttack

LEVELS = torch.tensor([0.30, 0.44, 0.47, 0.53, 0.60])
LABELS = (LEVELS > 0.5).long()
IMAGES = LEVELS[:, None, None, None].expand(-1, 3, 4, 4).clone()


class Light(torch.nn.Module):
    """The margin of an image is its distance from one half, which is its critical strength."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, images):
        mean = self.scale * (images.mean((1, 2, 3)) - 0.5)
        return torch.stack([-mean, mean], 1)


def call(attack, images=IMAGES, labels=LABELS):
    """Call an attack as AttackBench does."""
    return attack(model=Light().eval(), inputs=images, labels=labels, targets=None, targeted=False)


def test_a_fixed_budget_finds_what_lies_within_it():
    points = call(AttackBenchAttack(Apgd(steps=10, iterate="adversarial"), 0.05))
    assert (points - IMAGES).abs().max() <= 0.05 + 1e-6
    assert 0 <= points.min() <= points.max() <= 1
    fallen = Light()(points).argmax(1) != LABELS
    assert fallen.tolist() == [False, False, True, True, False]


def test_of_several_strengths_each_image_keeps_the_smallest():
    strengths = [0.02, 0.04, 0.08, 0.16]
    points = call(AttackBenchAttack(Apgd(steps=10, iterate="adversarial"), strengths))
    distances = (points - IMAGES).flatten(1).abs().amax(1)
    fallen = Light()(points).argmax(1) != LABELS
    # Margins are 0.20, 0.06, 0.03, 0.03 and 0.10.
    assert fallen.tolist() == [False, True, True, True, True]
    for distance, below, above in zip(
        distances[1:], (0.04, 0.02, 0.02, 0.08), (0.08, 0.04, 0.04, 0.16), strict=True
    ):
        assert below < distance <= above + 1e-6


def test_batches_do_not_change_results():
    attack = AttackBenchAttack(Pgd(steps=3), [0.02, 0.05], seed=1)
    whole = call(attack)
    parts = [call(attack, IMAGES[part], LABELS[part]) for part in (slice(0, 2), slice(2, 5))]
    assert torch.equal(whole, torch.cat(parts))


def test_the_model_is_restored():
    model = Light().train()
    AttackBenchAttack(Pgd(steps=2), 0.05)(model, IMAGES, LABELS)
    assert model.training
    assert model.scale.requires_grad
    assert model.scale.grad is None


def test_targets_are_refused():
    attack = AttackBenchAttack(Pgd(steps=2), 0.05)
    for options in ({"targeted": True}, {"targets": LABELS}):
        with pytest.raises(InvalidArgument, match="targeted"):
            attack(Light(), IMAGES, LABELS, **options)


@pytest.mark.parametrize("eps", [[], [0.05, 0.02], [0.02, 0.02], 8])
def test_wrong_strengths_are_refused(eps):
    with pytest.raises(InvalidArgument, match="eps"):
        AttackBenchAttack(Pgd(), eps)
