"""A scaled gradient must give the step of an unscaled one, or no step if it overflows."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from rampart.recipes.accelerator import make_accelerator
from rampart.recipes.config.loading import load_config
from rampart.runtime import scoped_seed
from rampart.training.one_process import OneProcess


def model_and_optimizer():
    with scoped_seed(0):
        model = nn.Linear(4, 3)
    return model, torch.optim.SGD(model.parameters(), lr=0.5)


def one_process(optimizer, scaled):
    """Gradients are scaled under fp16, which needs a GPU; the scaler itself does not."""
    make_accelerator(load_config(None, ["model=a", "data=b"]))
    scaler = object() if scaled else None
    accelerator = SimpleNamespace(device=torch.device("cpu"), scaler=scaler, autocast=nullcontext)
    return OneProcess(accelerator, optimizer)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("clip", [None, 1e-2])
def test_a_step_equals_that_of_the_bare_optimizer(scaled, clip):
    expected, plain = model_and_optimizer()
    expected(torch.ones(2, 4)).logsumexp(1).sum().backward()
    if clip is not None:
        clip_grad_norm_(expected.parameters(), clip)
    plain.step()
    model, optimizer = model_and_optimizer()
    one = one_process(optimizer, scaled)
    with one.autocast(), one.no_sync(model):
        loss = one.unwrap_model(model)(torch.ones(2, 4)).logsumexp(1).sum()
    one.backward(loss)
    if clip is not None:
        one.clip_grad_norm_(model.parameters(), clip)
    one.optimizer.step()
    for parameter, value in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(parameter, value)


def test_a_scaled_gradient_that_overflows_makes_no_step():
    model, optimizer = model_and_optimizer()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    one = one_process(optimizer, scaled=True)
    one.backward(model(torch.full((1, 4), 1e36)).sum())
    one.optimizer.step()
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


def test_a_sum_over_one_process_is_its_value():
    _, optimizer = model_and_optimizer()
    one = one_process(optimizer, scaled=False)
    assert one.reduce(torch.tensor(3), "sum") == 3
    assert (one.num_processes, one.process_index) == (1, 0)
