"""Writing a classifier as a program for other tools: ONNX, torch.export and TorchScript.

The batch has any size; channels and sides of the images are fixed. Every file also holds
`ProgramNotes`, so that `load_model` knows the classes and the normalization.
"""

import copy
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from rampart.errors import (
    InvalidArgument,
    ModelError,
    RampartError,
    RunError,
    UnknownName,
    reason,
)
from rampart.extras import require_extra
from rampart.files import is_disk_full, why_unwritten
from rampart.logits import find_logits
from rampart.models.normalized import NormalizedModel
from rampart.models.own import OwnBackbone
from rampart.models.program_notes import NOTES, ProgramNotes

#: Names of the input and the output of an ONNX file.
INPUT, OUTPUT = "images", "logits"


class Program(nn.Module):
    """The computation that a file holds, without checks, which no format can express.

    Args:
        model: pixels in [0, 1] to logits; its weights are copied to the CPU.
        inside: whether the normalization is a part of the program.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: NormalizedModel, inside: bool) -> None:
        super().__init__()
        copied = copy.deepcopy(model).cpu()
        network = copied.backbone
        self.network = network.module if isinstance(network, OwnBackbone) else network
        self.inside = inside
        if inside:
            self.register_buffer("mean", copied.mean)
            self.register_buffer("std", copied.std)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W), pixels in [0, 1] or normalized ones."""
        if self.inside:
            images = (images - self.mean) / self.std
        logits: Tensor = find_logits(self.network(images))
        return logits


def write_program(
    model: NormalizedModel, path: Path, to: str, notes: ProgramNotes, example: Tensor
) -> None:
    """Write a model as a program.

    Args:
        model: pixels in [0, 1] to logits; it is not changed.
        path: of the file.
        to: a key of `SUFFIXES`.
        notes: of the file; with a mean the program takes normalized images.
        example: (2, C, H, W) images.

    Raises:
        MissingExtra: a package is not installed.
        ModelError: the format cannot express the model.
        RunError: the disk is full.
    """
    program = Program(model, inside=notes.mean is None)
    try:
        with _without_advice():
            _WRITE[to](program, path, notes, example)
    except RampartError:
        raise
    # A model may hold anything, and every format has errors of its own.
    except Exception as error:
        if is_disk_full(error):
            raise RunError(f"cannot write {path}: {why_unwritten(error)}.") from error
        others = " or ".join(one for one in SUFFIXES if one != to)
        raise ModelError(
            f"the model cannot be exported to {to} ({reason(error)}): try {others}, or write its "
            "forward() without steps that depend on the number or the values of the images."
        ) from error


def suffix_of(to: str) -> str:
    """Return the ending of a format's files; raise `UnknownName` for an unknown format."""
    if to not in SUFFIXES:
        raise UnknownName("format", to, SUFFIXES)
    return SUFFIXES[to]


def require_suffix(path: Path, to: str) -> None:
    """Refuse a name by which `load_model` would not recognize the format."""
    if path.suffix != suffix_of(to) or path.is_dir():
        raise InvalidArgument("output", str(path), f"a file that ends in {suffix_of(to)}")


def require_packages(to: str) -> None:
    """Raise `MissingExtra` if a format needs a package that is not installed, or is broken."""
    for package in ("onnx", "onnxruntime") if to == "onnx" else ():
        require_extra(package, "onnx", "export to onnx")


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence torch's advice on formats, and its doubts about a trace, which is checked later."""
    with warnings.catch_warnings():
        doubts = torch.jit.TracerWarning  # type: ignore[attr-defined]  # torch
        for kind in (doubts, FutureWarning, DeprecationWarning):
            warnings.simplefilter("ignore", kind)
        # Of batch norm in train mode, by which some networks standardize their weights.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx")
        yield


def _write_pt2(program: Program, path: Path, notes: ProgramNotes, example: Tensor) -> None:
    batch = torch.export.Dim("batch")
    exported = torch.export.export(program, (example,), dynamic_shapes=({0: batch},))
    content = io.BytesIO()
    torch.export.save(exported, content, extra_files={NOTES: notes.text()})
    # From memory: on a full disk torch's own writer would end the process.
    path.write_bytes(content.getbuffer())


def _write_torchscript(program: Program, path: Path, notes: ProgramNotes, example: Tensor) -> None:
    traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch
        program, (example,), check_trace=False
    )
    content = io.BytesIO()
    torch.jit.save(traced, content, _extra_files={NOTES: notes.text()})
    # As above.
    path.write_bytes(content.getbuffer())


def _write_onnx(program: Program, path: Path, notes: ProgramNotes, example: Tensor) -> None:
    import onnx

    torch.onnx.export(
        program,
        (example,),
        str(path),
        # The other exporter needs the package onnxscript.
        dynamo=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
    )
    written = onnx.load(str(path))
    onnx.helper.set_model_props(written, {NOTES: notes.text()})
    onnx.save(written, str(path))


_Write = Callable[[Program, Path, ProgramNotes, Tensor], None]
_WRITE: dict[str, _Write] = {
    "onnx": _write_onnx,
    "pt2": _write_pt2,
    "torchscript": _write_torchscript,
}
#: Endings of the files of each format.
SUFFIXES = {"onnx": ".onnx", "pt2": ".pt2", "torchscript": ".torchscript"}
