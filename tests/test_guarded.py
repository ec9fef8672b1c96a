import pytest
import torch
from torch import nn

from rampart.errors import ModelError, RampartWarning
from rampart.guarded import CallError, GuardedModel, guarded
from rampart.input_gradients import NoGradientError


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
    with pytest.raises(ModelError, match="2 logits for each image, expected 3"):
        guard(torch.rand(1, 3, 4, 4))
    assert guard.classes == 3


def test_a_model_in_numpy_has_no_gradient():
    guard = GuardedModel(lambda images: torch.from_numpy(images.numpy().mean((2, 3))))
    images = torch.rand(2, 3, 4, 4)
    assert guard(images).shape == (2, 3)
    with pytest.raises(NoGradientError, match="square"):
        guard(images.requires_grad_())


class Refusing(nn.Linear):
    def forward(self, images):
        raise RuntimeError("something of another type")


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 2, 4), nn.Linear(4, 2), nn.BatchNorm2d(3)])
def test_weights_of_another_type_are_named(layer):
    images = torch.rand(2, 3, 4, 4)
    with pytest.raises(ModelError, match="than float32 .*its weights are float64: call .float"):
        GuardedModel(layer.double())(images)
    # Weights of the same type explain nothing.
    with pytest.raises(CallError, match="something of another type"):
        GuardedModel(Refusing(4, 2))(images)


@pytest.mark.parametrize(
    "raised", [ValueError("mine\nmore"), KeyError("k"), OSError(2, "gone"), None]
)
def test_an_error_of_the_model_is_named_with_its_line(raised):
    def model(images):
        if raised is not None:
            raise raised
        return nn.Linear(3, 2)(images)

    kind = "RuntimeError" if raised is None else type(raised).__name__
    with pytest.raises(CallError, match=rf"{kind}.*test_guarded\.py:\d+ on 2 .*3 x 4 x 4") as error:
        GuardedModel(model)(torch.rand(2, 3, 4, 4))
    assert "\n" not in str(error.value)
    assert type(error.value.__cause__).__name__ == kind


@pytest.mark.parametrize(
    "raised",
    [torch.OutOfMemoryError("full"), RuntimeError("CUDA out of memory"), ModelError("mine")],
)
def test_errors_that_are_no_fault_of_the_code_pass_unchanged(raised):
    def model(images):
        raise raised

    with pytest.raises(type(raised)) as error:
        GuardedModel(model)(torch.rand(2, 3, 4, 4))
    assert error.value is raised


def test_a_function_that_calls_a_network_without_values_is_told_to_load_them():
    """The guard cannot see the network, only torch's error."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3, device="meta"))
    with pytest.raises(ModelError, match="'meta'.*to_empty.*load_state_dict"):
        GuardedModel(lambda images: network(images))(torch.rand(2, 3, 4, 4))
