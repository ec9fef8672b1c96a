"""The groups of images on a case that can be checked by hand."""

import pytest
import torch

from rampart.errors import InvalidArgument
from rampart.objectives.separation import EASY, HARD, NOISY, Separation, agrees, class_means

#: Six images of two classes; the means of the labels' guidance are 0.5 for class 0, 0.6 for 1.
LABELS = torch.tensor([0, 0, 0, 1, 1, 1])
OF_LABEL = [0.9, 0.4, 0.2, 0.9, 0.8, 0.1]
GUIDANCE = torch.tensor(
    [[p, 1 - p] if label == 0 else [1 - p, p] for p, label in zip(OF_LABEL, LABELS, strict=True)]
)


def test_guidance_agrees_by_its_likeliest_class_or_its_mean():
    assert agrees(GUIDANCE, LABELS).tolist() == [True, False, False, True, True, False]
    # With weak guidance the likeliest class is wrong, and the mean still tells labels apart.
    weak = torch.tensor([[0.3, 0.7, 0.0], [0.1, 0.9, 0.0], [0.25, 0.75, 0.0]])
    assert agrees(weak, torch.tensor([0, 0, 0])).tolist() == [True, False, True]


@pytest.mark.parametrize("own", [0.0, 0.25])
def test_guidance_that_says_the_same_of_all_images_of_a_class_agrees_with_none(own):
    guidance = torch.tensor([[own, 1 - own]] * 3 + [[0.0, 1.0]])
    assert agrees(guidance, torch.tensor([0, 0, 0, 1])).tolist() == [False] * 3 + [True]
    # A class with one image: its probability is the mean.
    assert agrees(guidance[:1], torch.tensor([0])).tolist() == [False]


def test_hard_clean_images_reach_the_mean_of_the_easy_clean_ones():
    separation = Separation(GUIDANCE, LABELS)
    first = [EASY, NOISY, NOISY, EASY, EASY, NOISY]
    assert separation.groups.tolist() == first
    # Thresholds: 0.6 for class 0, and the mean of 0.2 and 0.4 for class 1.
    own = torch.tensor([0.6, 0.7, 0.5, 0.2, 0.4, 0.3])
    separation.record(torch.tensor([3, 4, 5]), own[3:])
    separation.record(torch.tensor([2, 0, 1]), own[[2, 0, 1]])
    assert separation.groups.tolist() == first, "groups change between epochs only"
    separation.renew()
    assert separation.groups.tolist() == [EASY, HARD, NOISY, EASY, EASY, HARD]


def test_the_threshold_follows_the_model():
    separation = Separation(GUIDANCE, LABELS)
    found = []
    for easy in (0.2, 0.9):
        separation.record(torch.arange(6), torch.tensor([easy, 0.5, 0.1, easy, easy, 0.5]))
        separation.renew()
        found.append(separation.groups.tolist())
    assert found == [[EASY, HARD, NOISY, EASY, EASY, HARD], [EASY, NOISY, NOISY, EASY, EASY, NOISY]]


def test_an_image_that_an_epoch_left_out_keeps_its_probability():
    separation = Separation(GUIDANCE, LABELS)
    separation.record(torch.arange(6), torch.full((6,), 0.5))
    separation.renew()
    separation.record(torch.tensor([0, 3, 4]), torch.tensor([0.4, 0.4, 0.4]))
    separation.renew()
    assert separation.own[[1, 2, 5]].tolist() == [0.5] * 3
    assert separation.groups.tolist() == [EASY, HARD, HARD, EASY, EASY, HARD]


def test_the_largest_probability_of_an_epoch_counts_in_any_order():
    numbers, own = torch.tensor([1, 1, 2, 1]), torch.tensor([0.3, 0.8, 0.1, 0.5])
    found = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        separation = Separation(GUIDANCE, LABELS)
        separation.record(numbers[order], own[order])
        separation.renew()
        found.append(separation.own.tolist())
    assert found[0] == found[1]
    assert found[0][1] == pytest.approx(0.8)


def test_a_restored_separation_goes_on_as_the_first():
    first, second = Separation(GUIDANCE, LABELS), Separation(GUIDANCE, LABELS)
    first.record(torch.arange(6), torch.tensor([0.6, 0.7, 0.5, 0.2, 0.4, 0.3]))
    first.renew()
    first.record(torch.tensor([5]), torch.tensor([0.01]))
    second.load_state_dict(first.state_dict())
    for one in (first, second):
        one.renew()
    assert first.groups.tolist() == second.groups.tolist() == [EASY, HARD, NOISY, EASY, EASY, NOISY]


def test_state_that_was_handed_out_does_not_change():
    separation = Separation(GUIDANCE, LABELS)
    handed, other = separation.state_dict(), Separation(GUIDANCE, LABELS).state_dict()
    separation.record(torch.arange(6), torch.full((6,), 0.5))
    separation.renew()
    separation.record(torch.arange(6), torch.full((6,), 0.9))
    separation.load_state_dict({name: torch.ones_like(one) for name, one in handed.items()})
    assert all(torch.equal(one, other[name]) for name, one in handed.items())


def test_a_class_without_values_gets_the_mean_of_all():
    chosen = torch.tensor([True, True, False, False, False, False])
    means = class_means(torch.tensor(OF_LABEL), LABELS, chosen, 3)
    assert means.tolist() == pytest.approx([0.65, 0.65, 0.65])
    assert class_means(torch.tensor(OF_LABEL), LABELS, chosen & False, 2).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("guidance", "named"),
    [
        (GUIDANCE[:5], "6 training images"),
        (torch.cat([GUIDANCE, GUIDANCE]), "6 training images"),
        (GUIDANCE[:, :1], "1 classes"),
        (torch.zeros(6), "shape"),
        (GUIDANCE + 1, "sum is 1"),
        (GUIDANCE.log(), "sum is 1"),
    ],
)
def test_guidance_that_does_not_fit_is_refused(guidance, named):
    with pytest.raises(InvalidArgument, match=f"guidance.*{named}"):
        Separation(guidance, LABELS)
