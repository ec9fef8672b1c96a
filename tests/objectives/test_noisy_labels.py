"""The three losses against a direct evaluation."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rampart.attacks.base import CountingModel
from rampart.errors import InvalidArgument, ModelError
from rampart.objectives.adversarial import Adversarial
from rampart.objectives.noisy_labels import NoisyLabels, soft_cross_entropy, targets
from rampart.objectives.separation import EASY, HARD, NOISY
from rampart.runtime import scoped_seed

IMAGES = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
#: It agrees with the first and the fourth label.
GUIDANCE = torch.tensor(
    [[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]] * 2, dtype=torch.float32
)
NUMBERS = torch.arange(6)


def net():
    with scoped_seed(0, "model"):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


def shift(images, labels, loss):
    return (images + 0.1).clamp(0, 1)


def guided(groups, **options):
    objective = NoisyLabels(**options).guided(GUIDANCE, LABELS)
    objective.separation.groups = torch.tensor(groups)
    return objective.of_images(NUMBERS)


@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_three_losses_are_their_formulas(trust, smoothing):
    objective = guided([EASY, HARD, NOISY] * 2, trust=trust, label_smoothing=smoothing)
    model = net()
    terms = objective(model, IMAGES, LABELS, shift)
    own, log_q = net()(IMAGES).softmax(1), net()(shift(IMAGES, None, None)).log_softmax(1)
    expected, likeliest = [], []
    for row, label in enumerate(LABELS):
        y, p, g = F.one_hot(label, 3).float(), own[row], GUIDANCE[row]
        target = (y, trust * y + (1 - trust) * p, trust * g + (1 - trust) * p)[row % 3]
        smoothed = (1 - smoothing) * target + smoothing / 3
        expected.append(-(smoothed * log_q[row]).sum())
        likeliest.append(int(target.argmax()))
    torch.testing.assert_close(terms.loss, torch.stack(expected))
    assert torch.equal(terms.correct, log_q.argmax(1) == torch.tensor(likeliest))


def test_no_gradient_flows_through_the_own_probabilities():
    model, other = net(), net()
    guided([NOISY] * 6)(model, IMAGES, LABELS, shift).loss.sum().backward()
    target = targets(
        torch.full((6,), NOISY), LABELS, GUIDANCE, net()(IMAGES).softmax(1).detach(), 0.5
    )
    soft_cross_entropy(other(shift(IMAGES, None, None)), target).sum().backward()
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_attack_aims_at_the_likeliest_class_of_the_target():
    asked = []

    def perturb(images, labels, loss):
        asked.append((labels, loss))
        return images

    guided([NOISY] * 6, trust=1.0)(net(), IMAGES, LABELS, perturb)
    ((labels, loss),) = asked
    assert labels.tolist() == [0] * 6
    assert loss is None


@pytest.mark.parametrize("perturb", [None, shift])
def test_with_easy_labels_only_it_is_adversarial_training(perturb):
    terms = guided([EASY] * 6)(net(), IMAGES, LABELS, perturb)
    usual = Adversarial()(net(), IMAGES, LABELS, perturb)
    torch.testing.assert_close(terms.loss, usual.loss)
    assert torch.equal(terms.correct, usual.correct)


def test_an_attack_costs_one_more_forward_pass_and_without_one_there_is_none():
    for perturb, forwards in ((shift, 12), (None, 6)):
        model = CountingModel(net())
        guided([NOISY] * 6)(model, IMAGES, LABELS, perturb).loss.sum().backward()
        assert (model.forwards, model.backwards) == (forwards, 6)


def test_autocast_keeps_the_gradient_of_every_weight():
    model = net()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = guided([NOISY] * 6)(model, IMAGES, LABELS, shift)
    assert terms.loss.dtype == torch.float32
    terms.loss.mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_it_remembers_its_own_probabilities_and_separates_after_an_epoch():
    objective, own = guided([NOISY] * 6), net()(IMAGES).softmax(1)
    with torch.no_grad():
        objective(net(), IMAGES, LABELS, None)
    assert (objective.separation.state_dict()["seen"] < 0).all(), "validation does not count"
    objective(net(), IMAGES, LABELS, shift)
    assert objective.remembers
    handed = objective.state_dict()
    before = {name: one.clone() for name, one in handed.items()}
    objective.finish_epoch()
    assert all(torch.equal(one, before[name]) for name, one in handed.items()), "a copy"
    torch.testing.assert_close(objective.separation.own, own[NUMBERS, LABELS])
    assert set(objective.separation.groups[[0, 3]].tolist()) == {EASY}


def test_without_guidance_or_numbers_it_is_refused():
    with pytest.raises(ModelError, match="objective.guided"):
        NoisyLabels()(net(), IMAGES, LABELS, None)
    with pytest.raises(InvalidArgument, match="indices"):
        NoisyLabels().guided(GUIDANCE, LABELS).of_images(None)


def test_guidance_with_other_classes_than_the_model_is_refused():
    wide = torch.cat([GUIDANCE, torch.zeros(6, 1)], 1)
    objective = NoisyLabels().guided(wide, LABELS).of_images(NUMBERS)
    with pytest.raises(InvalidArgument, match="guidance.*4 classes.*3 logits"):
        objective(net(), IMAGES, LABELS, None)


@pytest.mark.parametrize(
    "options",
    [
        {"trust": 1.1},
        {"trust": float("nan")},
        {"guide": "nothing"},
        {"guide": "own.csv", "guide_model": "resnet18"},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(InvalidArgument, match=next(reversed(options))):
        NoisyLabels(**options)
