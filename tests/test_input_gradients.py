"""Gradients with infinite entries, and the reasons why a model has no gradient."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from rampart.errors import ModelError
from rampart.input_gradients import NoGradientError, input_gradient, raw_input_gradient


class Unfinished(torch.autograd.Function):
    """Rounds; its backward pass is wrong."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("no derivative yet")


class Exhausted(torch.autograd.Function):
    """Has no memory left in its backward pass."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise torch.OutOfMemoryError("out of memory")


def changed_in_place(x):
    y = x.exp()
    return y.add_(1)


def kept(x):
    y = x.exp()
    torch.autograd.grad(y.sum(), x)
    return y


#: Each function with a word of the remedy, for every reason that torch gives.
BROKEN = {
    "reentrant checkpoint": (
        lambda x: checkpoint(torch.exp, x, use_reentrant=True),
        "use_reentrant=False",
    ),
    "in place": (changed_in_place, "x = x \\+ 1"),
    "second time": (kept, "anew"),
    "no derivative": (lambda x: torch.special.gammainc(x, x), "igamma.*replace"),
    "own backward": (Unfinished.apply, "ValueError: no derivative yet.*backward pass"),
}
#: Functions whose gradient does not reach the pixels.
UNREACHED = {
    "detach": lambda x: x.detach() * 2,
    "no_grad": torch.no_grad()(lambda x: x * 2),
    "weights only": lambda x: x.detach() * torch.ones(1, requires_grad=True),
}


def points():
    return torch.rand(3, 1, 2, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()


def test_entries_that_are_not_finite_count_as_0():
    x = torch.tensor([[0.0, 0.25], [1.0, 0.0]], requires_grad=True)
    weight = torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    assert raw_input_gradient(weight * x.sqrt(), x)[0, 0] == torch.inf
    assert raw_input_gradient(weight * x.sqrt(), x)[1, 1].isnan()
    assert input_gradient(weight * x.sqrt(), x).tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_finite_gradients_are_those_of_torch():
    x = points()
    (expected,) = torch.autograd.grad(x.sin().sum(), x)
    assert torch.equal(input_gradient(x.sin(), x), expected)


@pytest.mark.parametrize("name", BROKEN)
def test_a_backward_pass_that_fails_is_reported_with_its_own_remedy(name):
    function, remedy = BROKEN[name]
    x = points()
    with pytest.raises(ModelError, match=remedy) as caught:
        input_gradient(function(x), x)
    assert not isinstance(caught.value, NoGradientError)
    assert "square" not in str(caught.value)


@pytest.mark.parametrize("name", UNREACHED)
def test_a_gradient_that_does_not_reach_the_pixels_is_another_matter(name):
    x = points()
    with pytest.raises(NoGradientError, match="detach"):
        input_gradient(UNREACHED[name](x), x)


def test_too_little_memory_is_no_fault_of_the_model():
    x = points()
    with pytest.raises(torch.OutOfMemoryError):
        input_gradient(Exhausted.apply(x), x)
