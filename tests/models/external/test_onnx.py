import numpy as np
import pytest
import torch

from rampart.errors import InvalidArgument, MissingExtra, ModelError
from rampart.models.external.load import load_model

WEIGHT = torch.randn(4, 192, generator=torch.Generator().manual_seed(1))


def linear(pixels):
    """A linear classifier of 3 x 8 x 8 pixels, as in the file."""
    return pixels.flatten(1) @ WEIGHT.T


@pytest.fixture
def write(tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    def write(
        name="a.onnx", batch="n", kind=TensorProto.FLOAT, outputs=("scores",), inputs=1, **save
    ):
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        weight = numpy_helper.from_array(WEIGHT.T.numpy().astype(dtype), "weight")
        nodes = [helper.make_node("Flatten", ["pixels"], ["flat"], axis=1)]
        nodes += [helper.make_node("MatMul", ["flat", "weight"], [o]) for o in outputs]
        pixels = [
            helper.make_tensor_value_info(n, kind, [batch, 3, 8, 8])
            for n in ("pixels", "mask")[:inputs]
        ]
        scores = [helper.make_tensor_value_info(o, kind, [batch, 4]) for o in outputs]
        graph = helper.make_graph(nodes, "linear", pixels, scores, [weight])
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
        onnx.save(model, tmp_path / name, **save)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_a_file_for_any_batch(write, pixels, batch):
    found = load_model(write(batch=batch))
    for n in (1, 3, 7):
        torch.testing.assert_close(found.model(pixels[:n]), linear(pixels[:n]))
    assert (found.source, found.num_classes, found.input_size) == ("onnx", 4, (3, 8, 8))
    assert not found.differentiable
    assert found.class_names is None


def test_logits_have_no_gradient(write, pixels):
    found = load_model(write())
    assert not found.model(pixels.requires_grad_(True)).requires_grad


def test_other_precisions_return_float32(write, pixels):
    from onnx import TensorProto

    for kind, tolerance in ((TensorProto.FLOAT16, 5e-2), (TensorProto.DOUBLE, 1e-5)):
        logits = load_model(write(kind=kind)).model(pixels)
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits, linear(pixels), atol=tolerance, rtol=0)


def test_normalization_on_request(write, pixels):
    found = load_model(write(), mean=[0.5] * 3, std=[0.5] * 3)
    torch.testing.assert_close(found.model(pixels), linear(2 * pixels - 1), atol=1e-5, rtol=1e-5)


def test_one_of_several_outputs(write, pixels):
    found = load_model(write(outputs=("features", "logits")))
    torch.testing.assert_close(found.model(pixels), linear(pixels))
    with pytest.raises(ModelError, match="outputs a, b"):
        load_model(write(outputs=("a", "b")))


def test_the_fingerprint_covers_weights_in_another_file(write, tmp_path):
    save = {"save_as_external_data": True, "location": "big.data", "size_threshold": 0}
    reference = write(**save)
    (tmp_path / "unrelated").write_text("1")
    first = load_model(reference)
    (tmp_path / "unrelated").write_text("2")
    assert load_model(reference).fingerprint == first.fingerprint
    file = tmp_path / "big.data"
    values = np.frombuffer(file.read_bytes(), np.float32).copy()
    values[0] += 1
    file.write_bytes(values.tobytes())
    assert load_model(reference).fingerprint != first.fingerprint


def test_unsuitable_files_are_refused(write, tmp_path):
    (tmp_path / "rubbish.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="rubbish.onnx' cannot be opened") as error:
        load_model(str(tmp_path / "rubbish.onnx"))
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match=r"takes pixels.*mask.*: expected one batch"):
        load_model(write(inputs=2))
    with pytest.raises(ModelError, match="fails on images of 3 x 9 x 9"):
        load_model(write(), image_size=9)
    with pytest.raises(InvalidArgument, match=r"mean=\[0.5\]: expected 3 values"):
        load_model(write(), mean=[0.5], std=[0.5])


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("rampart.extras.find_spec", lambda name: None)
    (tmp_path / "a.onnx").touch()
    with pytest.raises(MissingExtra, match=r"onnxruntime.*rampart-rft\[onnx\]"):
        load_model(str(tmp_path / "a.onnx"))
