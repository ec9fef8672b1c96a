import pytest
import torch

from rampart.data.transforms import Augment, turn_over
from rampart.runtime import Noise
from rampart.training.warm_start import WarmStart

IMAGES = torch.linspace(0.2, 0.8, 5 * 3 * 4 * 4).view(5, 3, 4, 4)
INDICES = torch.tensor([7, 2, 9, 0, 4])
NEVER = torch.zeros(5, dtype=torch.bool)


def deltas(scale=0.03):
    generator = torch.Generator().manual_seed(0)
    return scale * (2 * torch.rand(IMAGES.shape, generator=generator) - 1)


def test_a_sample_without_a_perturbation_has_no_start():
    store = WarmStart(10)
    assert store.points(IMAGES, INDICES, NEVER).isnan().all()
    store.keep(IMAGES[:2] + 0.01, IMAGES[:2], INDICES[:2], NEVER[:2])
    known = ~store.points(IMAGES, INDICES, NEVER).flatten(1).isnan().any(1)
    assert known.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("now", [False, True])
def test_a_perturbation_is_flipped_with_its_image(before, now):
    """A flipped image with a flipped perturbation is the flip of both together."""
    store, moved = WarmStart(10), IMAGES + deltas()
    then, today = (torch.full((5,), flag) for flag in (before, now))
    store.keep(turn_over(moved, then), turn_over(IMAGES, then), INDICES, then)
    order = torch.tensor([3, 0, 4, 1, 2])
    found = store.points(turn_over(IMAGES, today)[order], INDICES[order], today)
    torch.testing.assert_close(found, turn_over(moved, today)[order], atol=2e-5, rtol=0)


def test_the_flips_are_those_of_the_augmentation():
    augment, noise = Augment(flip=0.5, jitter=0, rotation=0), Noise.like(IMAGES, 3)
    flipped = augment.flips(noise)
    assert flipped.any()
    assert not flipped.all()
    assert torch.equal(augment(IMAGES, noise), turn_over(IMAGES, flipped))


def test_its_memory_is_two_bytes_for_each_value():
    store = WarmStart(10)
    store.keep(IMAGES, IMAGES, INDICES, NEVER)
    assert store.kept.numel() * store.kept.element_size() == 2 * 10 * 3 * 4 * 4


def test_a_restored_store_is_the_same():
    store, again = WarmStart(10), WarmStart(10)
    again.load_state_dict(store.state_dict())
    store.keep(IMAGES + deltas(), IMAGES, INDICES, NEVER)
    again.load_state_dict({name: value.clone() for name, value in store.state_dict().items()})
    first, second = (one.points(IMAGES, INDICES, NEVER) for one in (store, again))
    assert torch.equal(first, second)
