"""Programs saved by `torch.export`."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rampart.errors import ModelError, reason
from rampart.logits import read_logits
from rampart.models.external.fingerprints import file_fingerprint
from rampart.models.external.loaded import LoadedModel, Wanted
from rampart.models.program_notes import NOTES, ProgramNotes
from rampart.models.weight_files import other_content


def load_exported(reference: str, wanted: Wanted) -> LoadedModel:
    """Return the program in a .pt2 file, which takes pixels in [0, 1] unless a mean is known.

    Opening such a file can run code, like a Python file: torch evaluates its expressions, looks up
    its operators by name and unpickles constants that are not plain tensors. Open only files of
    people whom you trust; ONNX holds no code.

    Raises:
        ModelError: the file cannot be opened, or its input is not one batch of images.
    """
    path, notes = Path(reference), {NOTES: ""}
    try:
        with _quiet(logging.getLogger("torch.export")):
            program = torch.export.load(path, extra_files=notes)
        if wanted.device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, wanted.device)
    # Reading the archive, its graph and its weights raises errors of many kinds.
    except Exception as error:
        why = other_content(path) if path.is_file() else None
        why = f"it {why}" if why else reason(error)
        raise ModelError(
            f"exported program '{path}' cannot be opened ({why}): save it by "
            "torch.export.save in this version of torch or an older one."
        ) from error
    images = _find_input(program, path)
    own = [size if isinstance(size, int) else None for size in images.shape[1:]]
    known = ProgramNotes.read(notes[NOTES])
    model = Exported(program.module(), images.dtype, *_batch_sizes(program, images.shape[0]))
    return wanted.examine(
        wanted.normalized(model, own, known.mean, known.std),
        name=reference,
        source="exported",
        fingerprint=file_fingerprint(path),
        own_size=own,
        namings=known.namings(),
    )


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Let a logger report errors only: the warning of a damaged file is a whole traceback."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class Exported(nn.Module):
    """An exported program, called with batches of the sizes that it was exported for.

    Args:
        program: images to logits.
        dtype: of its images.
        least: smallest batch; smaller ones are filled up.
        most: largest batch; larger ones are cut. None for no limit.
    """

    def __init__(
        self, program: nn.Module, dtype: torch.dtype, least: int, most: int | None
    ) -> None:
        super().__init__()
        self.program = program
        self.dtype = dtype
        self.least = least
        self.most = most
        # The mode of a graph is fixed in its operators; its flags mean nothing.
        for module in program.modules():
            module.training = False

    def train(self, mode: bool = True) -> "Exported":
        """Set the flag only; the program stays in the mode of its export."""
        self.training = mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W), pixels in [0, 1]."""
        return in_batches(self._call_program, images.to(self.dtype), self.least, self.most)

    def _call_program(self, images: Tensor) -> Tensor:
        return read_logits(self.program(images), len(images)).float()


def in_batches(
    function: Callable[[Tensor], Tensor], images: Tensor, least: int, most: int | None
) -> Tensor:
    """Call a function that takes `least` to `most` images at once; return all rows.

    Small batches are filled up with their own images.
    """
    rows = []
    for part in torch.split(images, most or max(1, len(images))):
        n = len(part)
        filled = part if n >= least else part[torch.arange(least, device=part.device) % n]
        rows.append(function(filled)[:n])
    return torch.cat(rows)


def _find_input(program: Any, path: Path) -> Any:
    """Return the shape and type of the one input of a program, as torch describes it."""
    names = program.graph_signature.user_inputs
    inputs = [node.meta["val"] for node in program.graph.nodes if node.name in names]
    if len(inputs) != 1 or inputs[0].ndim != 4 or not inputs[0].dtype.is_floating_point:
        got = [f"{tuple(i.shape)} {i.dtype}" if isinstance(i, Tensor) else i for i in inputs]
        raise ModelError(
            f"exported program '{path}' takes {', '.join(map(str, got)) or 'nothing'}: expected "
            "one batch of floating point images (N, C, H, W); export only the model."
        )
    return inputs[0]


def _batch_sizes(program: Any, size: Any) -> tuple[int, int | None]:
    """Return the smallest and the largest batch; None for no limit."""
    if isinstance(size, int):
        return size, size
    limits = program.range_constraints.get(size.node.expr)
    if limits is None:
        return 1, None
    most = int(limits.upper) if limits.upper.is_Integer else None
    return max(1, int(limits.lower)), most
