"""A model for batches of one size is refused with that size, at every entry."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

import rampart
from rampart.errors import ModelError
from rampart.guarded import BatchSizeError, CallError, GuardedModel

FIXED = 4


class Net(nn.Module):
    """Its `reshape` takes one number of images only, if one is given."""

    def __init__(self, size=None):
        super().__init__()
        self.size = size
        self.layer = nn.Linear(48, 3)

    def forward(self, images):
        flat = images.flatten(1) if self.size is None else images.reshape(self.size, -1)
        return self.layer(flat)


def exported():
    return torch.export.export(Net(), (torch.rand(FIXED, 3, 4, 4),)).module()


def traced():
    with torch.no_grad():
        return torch.jit.trace(Net(FIXED).eval(), torch.rand(FIXED, 3, 4, 4))


def onnx_session():
    if not (find_spec("onnx") and find_spec("onnxruntime")):
        pytest.skip("onnx is not installed")
    from onnx import TensorProto, checker, helper
    from onnxruntime import InferenceSession

    weight = helper.make_tensor("weight", TensorProto.FLOAT, (48, 3), [0.1] * 144)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, (FIXED, 3, 4, 4))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, (FIXED, 3))
    graph = helper.make_graph(nodes, "net", [images], [logits], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    session = InferenceSession(model.SerializeToString())
    return lambda z: torch.from_numpy(session.run(None, {"images": z.detach().numpy()})[0])


KINDS = {
    "exported": (exported, "dynamic_shapes"),
    "traced": (traced, "flatten"),
    "scripted": (lambda: torch.jit.script(Net(FIXED)), "flatten"),
    "plain": (lambda: Net(FIXED), "flatten"),
    "onnx": (onnx_session, "dynamic_axes"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sent", [1, 10])
def test_the_size_the_number_sent_and_the_remedy_are_named(kind, sent):
    make, remedy = KINDS[kind]
    guarded = GuardedModel(make())
    assert guarded(torch.rand(FIXED, 3, 4, 4)).shape == (FIXED, 3)
    with pytest.raises(BatchSizeError, match=rf"{FIXED} images only, and got {sent} ") as caught:
        guarded(torch.rand(sent, 3, 4, 4))
    assert "16 images in evaluations" in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["exported", "traced"])
def test_every_entry_says_so(kind):
    make, remedy = KINDS[kind]
    images, labels = torch.rand(20, 3, 4, 4), torch.arange(20) % 3
    robust = rampart.RobustLoss(make(), "2/255", rampart.Horizon(1, 1), schedule=rampart.Fix())
    entries = {
        "attack": lambda: rampart.Pgd(steps=2)(make(), images, labels, 2 / 255),
        "evaluate": lambda: rampart.evaluate(make(), (images, labels), "2/255", "apgd"),
        "loss": lambda: robust(images, labels),
    }
    for name, call in entries.items():
        with pytest.raises(ModelError, match=f"{FIXED} images only") as caught:
            call()
        assert remedy in str(caught.value), name


def test_other_failures_are_not_taken_for_a_fixed_batch():
    """Images of another size, images of certain values, and BatchNorm on a single image."""
    with pytest.raises(CallError) as size:
        GuardedModel(Net())(torch.rand(2, 3, 5, 5))

    def refuses_black(images):
        assert images.amin() > 0, "black"
        return images.mean((2, 3))

    with pytest.raises(CallError) as values:
        GuardedModel(refuses_black)(torch.zeros(2, 3, 4, 4))
    norm = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(48), nn.Linear(48, 3))
    with pytest.raises(CallError) as single:
        GuardedModel(norm)(torch.rand(1, 3, 4, 4))
    assert {type(one.value) for one in (size, values, single)} == {CallError}
