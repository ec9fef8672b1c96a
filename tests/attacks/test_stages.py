import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rampart.attacks.algorithm import Problem
from rampart.attacks.apgd import ApgdAlgorithm
from rampart.attacks.autoattack import AutoAttack
from rampart.attacks.base import CountingModel
from rampart.attacks.stages import Stage, cascade, likely_classes, run_noise, with_classes
from rampart.losses import LOSSES
from rampart.runtime import Noise

LOSS = LOSSES.get("targeted-dlr")()


def stage(restarts: int = 1, targets: int = 0, name: str = "t") -> Stage:
    return Stage(name, ApgdAlgorithm(2), LOSS, restarts, targets)


@given(st.integers(1, 5), st.integers(0, 12), st.integers(2, 12))
def test_every_target_class_has_all_restarts(restarts, targets, classes):
    one = stage(restarts, targets)
    ranks = [one.rank(run) for run in range(one.runs(classes))]
    wanted = min(targets, classes - 1) if targets else 1
    assert ranks == [rank for rank in range(wanted) for _ in range(restarts)]


@given(st.integers(2, 12), st.integers(0, 99))
def test_likely_classes_are_the_wrong_classes_in_order(classes, seed):
    logits = torch.randn(7, classes, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(7) % classes
    found = likely_classes(logits, labels)
    assert found.shape == (7, classes - 1)
    assert not (found == labels[:, None]).any()
    assert (logits.gather(1, found).diff(dim=1) <= 0).all()
    pairs = with_classes(labels, found[:, 0])
    assert torch.equal(pairs, torch.stack([labels, found[:, 0]], 1))


def test_equal_logits_keep_the_order_of_the_classes():
    found = likely_classes(torch.zeros(1, 5), torch.tensor([2]))
    assert found.tolist() == [[0, 1, 3, 4]]


def test_each_run_of_each_stage_has_its_own_noise():
    noise = Noise.of(0, torch.arange(3))
    keys = [
        run_noise(noise, stage(name=name), torch.full((3,), number)).keys
        for name in ("a", "b")
        for number in range(3)
    ]
    assert len(torch.cat(keys).unique()) == 18
    mixed = run_noise(noise, stage(name="a"), torch.tensor([2, 0, 1])).keys
    assert mixed.tolist() == [keys[2][0], keys[0][1], keys[1][2]]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_cascade_does_not_query_misclassified_samples_again(classes, digit_net, digit_images):
    images, labels = (part[:30] for part in digit_images)
    model = CountingModel(lambda points: digit_net(points)[:, :classes])
    labels = labels % classes
    noise, eps = Noise.like(images), torch.full((30,), 0.1)
    stages = AutoAttack(version="standard", steps=3, queries=5).stages()
    one = Problem(model, images, labels, eps, noise, LOSS, "linf")
    points = cascade(one, stages)
    right = model(images).argmax(1) == labels
    is_adv = right & (model(points).argmax(1) != labels)
    # Images that are misclassified when clean are unchanged.
    assert torch.equal(points[~right], images[~right])
    assert 0 < is_adv.sum() <= right.sum()
    # A sample has the same result on its own.
    for row in range(0, 30, 7):
        part = cascade(one.select(torch.tensor([row])), stages)
        torch.testing.assert_close(part[0], points[row], atol=1e-5, rtol=0)
    model.forwards = 0
    cascade(one.select(~right), stages)
    assert model.forwards == (~right).sum()
