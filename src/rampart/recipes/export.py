"""Export the model of a run as a program for other tools, and check the file."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from rampart.choices import NormalizationPlace
from rampart.errors import InvalidArgument, ModelError, reason
from rampart.evaluation.inference import logits_of
from rampart.files import replacing, require_output_folder, scratch_folder
from rampart.images_and_labels import to_bytes
from rampart.models.exporting import require_packages, require_suffix, suffix_of, write_program
from rampart.models.external.load import load_model
from rampart.models.normalized import NormalizedModel
from rampart.models.program_notes import ProgramNotes
from rampart.recipes.config.loading import load_config
from rampart.recipes.config.run_config import RunConfig
from rampart.recipes.saved_model import load_saved_model, read_description
from rampart.restoring import in_mode
from rampart.runs.lock import only_writer
from rampart.runs.run_folder import RunFolder
from rampart.runtime import Noise

#: Largest difference of the logits, as a fraction of the largest logit or of 1.
TOLERANCE = 1e-4
#: Sizes of the batches that are compared.
BATCHES = (1, 3, 16)


@dataclass(frozen=True)
class ExportedFile:
    """An exported program, which has been checked.

    Attributes:
        path: of the file.
        to: its format: "onnx", "pt2" or "torchscript".
        normalization: whether it takes pixels in [0, 1] ("inside") or normalized images.
        input_size: channels, height and width of its images.
        resize: how its images become squares.
        difference: largest difference of its logits from the model's.
        differentiable: whether gradients reach the pixels, as most attacks need it.
    """

    path: Path
    to: str
    normalization: str
    input_size: tuple[int, int, int]
    resize: str
    difference: float
    differentiable: bool

    def lines(self) -> list[str]:
        """Return what a user has to know, a sentence in each line."""
        size = " x ".join(map(str, self.input_size))
        takes = "pixels in [0, 1]" if self.normalization == "inside" else "normalized images"
        lines = [
            f"{self.path}: takes batches of any size, {size}, {takes}",
            f"checked: its logits differ by at most {self.difference:.1e}",
        ]
        if not self.differentiable:
            lines.append(
                f"note: {self.to} has no gradients, so only attacks without gradients apply: "
                f"rampart evaluate {self.path} data=FOLDER evaluation.attack=square"
            )
        if self.resize != "crop":
            lines.append(f"note: its images are prepared by data.resize={self.resize}")
        return lines


def export_run(
    path: Path, to: str, output: Path | None = None, normalization: str = "inside"
) -> ExportedFile:
    """Export the model of a finished run.

    Args:
        path: the run's folder.
        to: "onnx", "pt2" or "torchscript".
        output: the file; by default `model/model.onnx` and so on in the run's folder.
        normalization: "inside" if the program shall take pixels in [0, 1]; "outside" if it shall
            take images that are normalized by the mean and std of the model.

    Raises:
        RunError: the run is not finished, or the file cannot be written.
        RampartError: see `export_model`.
    """
    folder = RunFolder(path)
    folder.require_finished()
    suffix_of(to)
    config = load_config(folder.config)
    return export_model(load_saved_model(folder, config), folder, config, to, output, normalization)


def export_model(
    model: NormalizedModel,
    folder: RunFolder,
    config: RunConfig,
    to: str,
    output: Path | None = None,
    normalization: str = "inside",
) -> ExportedFile:
    """Export the loaded model of a run; arguments as `export_run`.

    Raises:
        UnknownName: an unknown format.
        InvalidArgument: `output` has another ending, or an unknown place of the normalization.
        MissingExtra: the format needs a package that is not installed.
        ModelError: the format cannot express the model, or the file gives other predictions.
        RunError: the file cannot be written, or another process writes the run's folder.
    """
    output = output or folder.model / f"model{suffix_of(to)}"
    require_suffix(output, to)
    if normalization not in get_args(NormalizationPlace):
        raise InvalidArgument("normalization", normalization, "inside or outside")
    require_packages(to)
    require_output_folder(output.parent)
    size = (model.in_chans, model.image_size, model.image_size)
    outside = normalization == "outside"
    notes = ProgramNotes(
        read_description(folder)["label_names"],
        size,
        model.mean.flatten().tolist() if outside else None,
        model.std.flatten().tolist() if outside else None,
        config.data.resize,
    )
    with _only_writer_of(folder, output), scratch_folder(output) as scratch:
        file = scratch / output.name
        write_program(model, file, to, notes, _images(size)[:2])
        difference, differentiable = _check(file, model, to, _images(size))
        with replacing(output) as target:
            shutil.copyfile(file, target)
    return ExportedFile(
        output, to, normalization, size, config.data.resize, difference, differentiable
    )


@contextmanager
def _only_writer_of(folder: RunFolder, output: Path) -> Iterator[None]:
    """Be the only writer of the run if the file lies in its folder; elsewhere it is put whole."""
    if not output.resolve().is_relative_to(folder.path.resolve()):
        yield
        return
    with only_writer(folder.path):
        # Another process may have replaced the run until now.
        folder.require_finished()
        yield


def _check(file: Path, model: NormalizedModel, to: str, images: Tensor) -> tuple[float, bool]:
    """Return the largest difference of the logits, and whether the program has gradients.

    Raises:
        ModelError: the difference is above the tolerance, or the batch cannot have any size.
    """
    with in_mode(model, training=False):
        ours = logits_of(model, images.to(model.mean.device)).cpu()
    otherwise = (
        "so no file is written: its forward() depends on the number or the values of the images; "
        "try another format."
    )
    try:
        loaded = load_model(str(file))
        with torch.no_grad():
            parts = [(loaded.model(images[:n]), ours[:n]) for n in BATCHES]
    # A program may fail in any way on batches of other sizes than that of its export.
    except Exception as error:
        raise ModelError(
            f"the model exported to {to} fails ({reason(error)}), {otherwise}"
        ) from error
    difference = max(float((theirs - own).abs().max()) for theirs, own in parts)
    scale = max(1.0, float(ours.abs().max()))
    if not difference <= TOLERANCE * scale:
        raise ModelError(
            f"the model exported to {to} gives other logits (they differ by {difference:.2g}), "
            f"{otherwise}"
        )
    return difference, loaded.differentiable


def _images(size: tuple[int, int, int]) -> Tensor:
    """Return 16 images of noise of 8 bits, from dark to bright."""
    noise = Noise.of(0, torch.arange(max(BATCHES)), "export").uniform(*size)
    level = torch.linspace(0, 1, max(BATCHES)).view(-1, 1, 1, 1)
    return to_bytes((noise + level) / 2).float() / 255
