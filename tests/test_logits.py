from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rampart.errors import ModelError
from rampart.logits import NO_CLASS, is_correct, predict, read_logits

LOGITS = torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        (LOGITS,),
        [LOGITS],
        {"loss": None, "logits": LOGITS},
        SimpleNamespace(logits=LOGITS),
        namedtuple("Inception", ["logits", "aux_logits"])(LOGITS, LOGITS + 1),
    ],
    ids=lambda output: type(output).__name__,
)
def test_the_main_logits_are_read(output):
    assert read_logits(output, 2) is LOGITS


def test_the_main_logits_of_a_network_with_auxiliary_ones_are_read():
    # The import of torchvision takes seconds.
    from torchvision.models import googlenet

    network = googlenet(num_classes=3, init_weights=False).train()
    network.dropout = nn.Identity()
    images, state = (
        torch.rand(2, 3, 64, 64),
        {k: v.clone() for k, v in network.state_dict().items()},
    )
    logits = read_logits(network(images), 2)
    network.load_state_dict(state)
    network.aux_logits = False
    assert torch.equal(logits, network(images))


@pytest.mark.parametrize(
    ("output", "got"),
    [
        ((LOGITS, LOGITS), "a tuple of 2 parts"),
        ({"out": LOGITS}, "a dict of out"),
        ({"logits": None}, "a NoneType"),
        ("label", "a str"),
        (LOGITS[0], r"shape \(3,\)"),
        (LOGITS[:1], r"shape \(1, 3\)"),
        (LOGITS[:, :1], "one logit"),
        (LOGITS[:, 0], "one logit"),
        (LOGITS[:, :0], r"shape \(2, 0\)"),
        (LOGITS[:, :, None], r"shape \(2, 3, 1\)"),
        (LOGITS.argsort(), "int64"),
        (LOGITS.argmax(1), "int64"),
        (LOGITS.to_sparse(), "a sparse tensor"),
    ],
    ids=str,
)
def test_other_outputs_are_refused(output, got):
    with pytest.raises(ModelError, match=f"{got}.*" + r"expected logits \(2, K\)"):
        read_logits(output, 2)


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_a_row_that_is_not_finite_predicts_no_class(number):
    logits = LOGITS.clone()
    logits[0, 0] = number
    assert predict(logits).tolist() == [NO_CLASS, 0]
    for label in range(3):
        assert is_correct(logits, torch.tensor([label, 0])).tolist() == [False, True]
