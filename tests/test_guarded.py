import pytest
import torch

from rampart.errors import ModelError, RampartWarning
from rampart.guarded import GuardedModel, guarded


def channels(images):
    return images.mean((2, 3))


def in_place(images):
    return channels(images.sub_(0.5).div_(0.25))


def with_numpy(images):
    pixels = images.detach().numpy()
    pixels -= 0.5
    pixels /= 0.25
    return torch.from_numpy(pixels.mean((2, 3)))


def past_autograd(images):
    images.data.mul_(2)
    return channels(images)


@pytest.mark.parametrize("model", [in_place, with_numpy, past_autograd])
def test_a_model_that_writes_into_its_input_is_named_and_changes_nothing(model):
    images = torch.rand(2, 3, 4, 4)
    before, guard = images.clone(), GuardedModel(model)
    with pytest.warns(RampartWarning, match=f"{model.__name__} writes into its input"):
        first = guard(images)
    assert guard.writes
    # The second call gives the same and does not warn again.
    assert torch.equal(guard(images), first)
    assert torch.equal(images, before)


def test_gradients_go_through_the_copy():
    images = torch.rand(2, 3, 4, 4).requires_grad_()
    with pytest.warns(RampartWarning):
        (slope,) = torch.autograd.grad(GuardedModel(in_place)(images).sum(), images)
    assert torch.allclose(slope, torch.full_like(slope, 1 / 16 / 0.25))


def test_a_model_that_leaves_its_input_is_not_named():
    images, guard = torch.rand(2, 3, 4, 4), GuardedModel(channels)
    with torch.inference_mode():
        assert torch.equal(guard(images), channels(images))
    assert torch.equal(guard(images), channels(images))
    assert not guard.writes


def test_one_guard_is_enough():
    guard = guarded(channels)
    assert guarded(guard) is guard


def test_logits_survive_a_model_that_reuses_their_memory():
    memory = torch.empty(2, 3)
    guard = GuardedModel(lambda images: memory.copy_(channels(images)))
    images = torch.rand(2, 3, 4, 4)
    first = guard(images)
    guard(1 - images)
    assert torch.equal(first, channels(images))


def test_the_number_of_classes_may_not_change():
    guard = GuardedModel(lambda images: channels(images)[:, : 1 + len(images)])
    assert guard(torch.rand(2, 3, 4, 4)).shape == (2, 3)
    with pytest.raises(ModelError, match="2 logits for each image, and 3 at an earlier call"):
        guard(torch.rand(1, 3, 4, 4))
    assert guard.classes == 3
