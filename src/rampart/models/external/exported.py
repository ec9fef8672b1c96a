"""Programs that `torch.export` saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rampart.errors import ModelError, reason
from rampart.models.external.loaded import (
    LoadedModel,
    Wanted,
    file_fingerprint,
    logits_in,
)


def load_exported(reference: str, wanted: Wanted) -> LoadedModel:
    """Return the program in a .pt2 file, which takes pixels in [0, 1] unless `wanted` has a mean.

    Opening such a file can run code, as a Python file does: expressions in it are evaluated, its
    operators are looked up by name, and torch unpickles the constants that are no plain tensors.
    Open those of people whom you trust; ONNX holds no code.

    Raises:
        ModelError: it cannot be opened, or takes anything but one batch of images.
    """
    path = Path(reference)
    try:
        program = torch.export.load(path)
        if wanted.device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, wanted.device)
    # The reader of the archive, of its graph and of its weights raise errors of their own.
    except Exception as error:
        raise ModelError(
            f"exported program '{path}' cannot be opened ({reason(error)}); was it saved by "
            "torch.export.save, in this version of torch or an older one?"
        ) from error
    images = _input(program, path)
    own = [size if isinstance(size, int) else None for size in images.shape[1:]]
    model = Exported(program.module(), images.dtype, *_batch_sizes(program, images.shape[0]))
    return wanted.examine(
        wanted.normalized(model, own),
        name=reference,
        source="exported",
        fingerprint=file_fingerprint(path),
        own_size=own,
    )


class Exported(nn.Module):
    """An exported program, asked in batches of the sizes that it was exported for.

    Args:
        program: images to logits.
        dtype: of the images that it takes.
        least: smallest batch; smaller ones are filled up.
        most: largest batch; larger ones are cut. None: any.
    """

    def __init__(
        self, program: nn.Module, dtype: torch.dtype, least: int, most: int | None
    ) -> None:
        super().__init__()
        self.program = program
        self.dtype = dtype
        self.least = least
        self.most = most
        # Of a graph the flags say nothing, and it refuses to be told: its mode is in its operators.
        for module in program.modules():
            module.training = False

    def train(self, mode: bool = True) -> "Exported":
        """Remember the mode; the program has the one that it was exported in, and only that."""
        self.training = mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, C, H, W), pixels in [0, 1]."""
        return in_batches(self._ask, images.to(self.dtype), self.least, self.most)

    def _ask(self, images: Tensor) -> Tensor:
        return logits_in(self.program(images)).float()


def in_batches(
    function: Callable[[Tensor], Tensor], images: Tensor, least: int, most: int | None
) -> Tensor:
    """Ask a function that takes `least` to `most` images at once; return all its rows.

    Batches that are too small are filled with images from their beginning.
    """
    rows = []
    for part in torch.split(images, most or max(1, len(images))):
        n = len(part)
        filled = part if n >= least else part[torch.arange(least, device=part.device) % n]
        rows.append(function(filled)[:n])
    return torch.cat(rows)


def _input(program: Any, path: Path) -> Any:
    """Return the one input of a program as torch describes it: its shape and type."""
    names = program.graph_signature.user_inputs
    inputs = [node.meta["val"] for node in program.graph.nodes if node.name in names]
    if len(inputs) != 1 or inputs[0].ndim != 4 or not inputs[0].dtype.is_floating_point:
        got = [f"{tuple(i.shape)} {i.dtype}" if isinstance(i, Tensor) else i for i in inputs]
        raise ModelError(
            f"exported program '{path}' takes {', '.join(map(str, got)) or 'nothing'}: expected "
            "one batch of floating point images (N, C, H, W); export the model alone."
        )
    return inputs[0]


def _batch_sizes(program: Any, size: Any) -> tuple[int, int | None]:
    """Return the smallest and the largest batch; None: there is no largest."""
    if isinstance(size, int):
        return size, size
    limits = program.range_constraints.get(size.node.expr)
    if limits is None:
        return 1, None
    most = int(limits.upper) if limits.upper.is_Integer else None
    return max(1, int(limits.lower)), most
