"""ONNX files, through onnxruntime: logits without gradients."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rampart.errors import ModelError, reason
from rampart.extras import require_extra
from rampart.files import read_bytes
from rampart.models.external.exported import in_batches
from rampart.models.external.fingerprints import file_fingerprint
from rampart.models.external.loaded import LoadedModel, Wanted
from rampart.models.program_notes import NOTES, ProgramNotes
from rampart.models.weight_files import other_content
from rampart.models.weights import not_finite

#: onnxruntime's names of the types of images.
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


def load_onnx(reference: str, wanted: Wanted) -> LoadedModel:
    """Return the model in an .onnx file, which takes pixels in [0, 1] unless a mean is known.

    Only its operators are run.

    Raises:
        MissingExtra: onnxruntime is not installed.
        ModelError: the file cannot be opened, a weight is NaN, its input is not one batch of
            images, or none of its several outputs is called "logits".
    """
    require_extra("onnxruntime", "onnx", f"model '{reference}'")
    path = Path(reference)
    model = Onnx(_open_session(path, wanted.device), path)
    _require_numbers(path)
    known = ProgramNotes.read(model.session.get_modelmeta().custom_metadata_map.get(NOTES))
    return wanted.examine(
        wanted.normalized(model, model.size, known.mean, known.std),
        name=reference,
        source="onnx",
        fingerprint=file_fingerprint(path, *_find_external(path)),
        own_size=model.size,
        namings=known.namings(),
    )


class Onnx(nn.Module):
    """A session of onnxruntime as a module without parameters.

    Args:
        session: of onnxruntime.
        path: the file, for messages.

    Attributes:
        size: channels, height and width of the images; None for any.
    """

    def __init__(self, session: Any, path: Path) -> None:
        super().__init__()
        self.session = session
        (batch, *sizes), self.dtype = _find_input(session, path)
        self.size = [size if isinstance(size, int) else None for size in sizes]
        self.batch = batch if isinstance(batch, int) else None
        self.input = session.get_inputs()[0].name
        self.output = _find_output(session, path)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) without gradients of images (N, C, H, W), pixels in [0, 1]."""
        pixels = images.detach().cpu()
        return in_batches(self._run_session, pixels, self.batch or 1, self.batch).to(images.device)

    def _run_session(self, images: Tensor) -> Tensor:
        inputs = {self.input: images.numpy().astype(self.dtype)}
        return torch.from_numpy(np.asarray(self.session.run([self.output], inputs)[0])).float()


def _open_session(path: Path, device: torch.device) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # As many as torch uses, because several processes run on one machine.
    options.intra_op_num_threads = torch.get_num_threads()
    # Its errors are raised too.
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    # onnxruntime's errors have no common base class.
    except Exception as error:
        why = other_content(path) if path.is_file() else None
        why = f"it {why}" if why else reason(error)
        raise ModelError(f"ONNX file '{path}' cannot be opened ({why}).") from error


def _require_numbers(path: Path) -> None:
    """Refuse NaN among the weights; without the package onnx only NaN in the logits is found."""
    if find_spec("onnx") is None:
        return
    import onnx

    for tensor in onnx.load(str(path)).graph.initializer:
        values = onnx.numpy_helper.to_array(tensor, base_dir=str(path.parent))
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise not_finite(str(path), tensor.name, int(np.isnan(values).sum()), values.size)


def _find_input(session: Any, path: Path) -> tuple[list[Any], Any]:
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
        got = ", ".join(f"{i.name} {i.shape} {i.type}" for i in inputs)
        raise ModelError(
            f"ONNX file '{path}' takes {got or 'nothing'}: expected one batch of floating point "
            "images (N, C, H, W); export only the model."
        )
    return inputs[0].shape, _TYPES[inputs[0].type]


def _find_output(session: Any, path: Path) -> str:
    names = [output.name for output in session.get_outputs()]
    if len(names) == 1:
        return str(names[0])
    if "logits" in names:
        return "logits"
    raise ModelError(
        f"ONNX file '{path}' has the outputs {', '.join(names)}: expected one, or one that is "
        "called logits."
    )


def _find_external(path: Path) -> list[Path]:
    """Return the files with weights that an ONNX file names, in the same folder."""
    content = read_bytes(path)
    beside = sorted(f for f in path.parent.iterdir() if f.is_file() and f != path)
    return [file for file in beside if file.name.encode() in content]
