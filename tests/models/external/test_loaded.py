from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from rampart.errors import InvalidArgument, ModelError
from rampart.input_gradients import NoGradientError
from rampart.models.external.loaded import Wanted, callable_model

SIZE = (3, 8, 8)


def channels(images):
    return images.mean((2, 3))


def test_a_function_is_a_model():
    model = callable_model(channels, input_size=SIZE, class_names=["r", "g", "b"])
    images = torch.rand(5, *SIZE)
    assert torch.equal(model.model(images), channels(images))
    assert (model.num_classes, model.class_names, model.name) == (3, ("r", "g", "b"), "channels")
    assert model.differentiable
    assert not model.model.training
    assert model.source == "callable"


def test_a_function_without_a_size_is_not_tested():
    def never(images):
        raise AssertionError

    model = callable_model(never, num_classes=3)
    assert (model.num_classes, model.input_size, model.class_names) == (3, None, None)


def test_a_module_inside_a_function_is_put_into_eval_mode(network):
    class Defense:
        def __init__(self):
            self.module = network.train()

        def __call__(self, images):
            return self.module(images)

    for function in (network.train(), Defense(), network.train().forward):
        model = callable_model(function, input_size=SIZE).model
        assert not network.training
        assert len(list(model.parameters())) == len(list(network.parameters()))


@pytest.mark.parametrize(
    ("function", "differentiable"),
    [
        (channels, True),
        (lambda images: channels(images.detach()), False),
        (lambda images: channels(images.round()), True),
        (torch.no_grad()(channels), False),
        (lambda images: torch.from_numpy(images.detach().numpy().mean((2, 3))), False),
    ],
)
def test_it_is_tested_whether_gradients_reach_the_pixels(function, differentiable):
    assert callable_model(function, input_size=SIZE).differentiable == differentiable


def test_a_backward_pass_that_fails_is_not_taken_for_missing_gradients():
    def reentrant(images):
        return checkpoint(channels, images, use_reentrant=True)

    error = callable_model(reentrant, input_size=SIZE).gradient_error
    assert not isinstance(error, NoGradientError)
    assert "use_reentrant=False" in str(error)
    missing = callable_model(lambda images: channels(images.detach()), input_size=SIZE)
    assert isinstance(missing.gradient_error, NoGradientError)


def test_weights_behind_a_detach_do_not_count_as_gradients(network):
    assert not callable_model(lambda x: network(x.detach()), input_size=SIZE).differentiable
    assert callable_model(network, input_size=SIZE).differentiable


def test_the_test_of_a_model_leaves_no_gradients(network):
    callable_model(network, input_size=SIZE)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"shape \(2, 3, 8, 8\)"),
        (lambda x: channels(x)[0], r"shape \(3,\)"),
        (lambda x: channels(x)[:1], r"shape \(1, 3\)"),
        (lambda x: channels(x)[:, :1], "one logit"),
        (lambda x: channels(x).argsort(), "int64"),
        (lambda x: channels(x) / 0, "no finite logits"),
        (lambda x: (channels(x), 1), "returns a tuple"),
        (lambda x: None, "returns a NoneType"),
        (nn.Linear(3, 2), r"fails on images of 3 x 8 x 8 \(channels, .* shapes"),
    ],
)
def test_a_function_that_is_not_a_classifier_is_refused(function, message):
    with pytest.raises(ModelError, match=message) as error:
        callable_model(function, input_size=SIZE, name="mine")
    assert "'mine'" in str(error.value)
    assert "\n" not in str(error.value)


def test_contradictory_arguments_are_refused():
    with pytest.raises(ModelError, match="'channels' has 3 outputs, expected 4"):
        callable_model(channels, input_size=SIZE, num_classes=4)
    with pytest.raises(InvalidArgument, match="class_names=2 names"):
        callable_model(channels, input_size=SIZE, class_names="ab")
    with pytest.raises(InvalidArgument, match="num_classes=1"):
        callable_model(channels, num_classes=1)
    for wrong in (3, nn.Linear):
        with pytest.raises(InvalidArgument, match="function="):
            callable_model(wrong)
    with pytest.raises(InvalidArgument, match="std=None"):
        Wanted(mean=[0.5])


def test_the_required_size_comes_before_that_of_the_model():
    assert Wanted().size((3, 8, 9)) == (3, 8, 9)
    assert Wanted(image_size=5, in_chans=1).size((3, 8, 9)) == (1, 5, 5)
    assert Wanted(image_size=5).size((3, None, None)) == (3, 5, 5)
    assert Wanted(image_size=5).size((None, None, None)) == (3, 5, 5), "color where nobody says"
    assert Wanted(image_size=5, mean=[0], std=[1]).size((None, None, None)) == (1, 5, 5)
    assert Wanted(in_chans=1).size((None, None, None)) is None


def test_namings_of_another_length_are_dropped():
    found = Wanted().examine(
        callable_model(channels).model,
        name="x",
        source="hf",
        fingerprint=None,
        own_size=SIZE,
        namings=[["a", "b"], ["a", "b", "c"]],
    )
    assert found.class_names == ("a", "b", "c")
    assert replace(found, namings=()).class_names is None
