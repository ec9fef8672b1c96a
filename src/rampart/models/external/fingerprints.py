"""Fingerprints of models: SHA-256 of weights, files and code."""

import hashlib
import inspect
from pathlib import Path

import torch
from torch import Tensor, nn

from rampart.files import require_file
from rampart.guarded import require_weights


def weights_fingerprint(model: nn.Module) -> str:
    """Return the SHA-256 over the names, types, shapes and values of a model's weights.

    Raises:
        ModelError: the model has lazy layers, whose weights have no shape yet.
    """
    digest = hashlib.sha256()
    require_weights(model)
    for key, value in sorted(model.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
            flat = value.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def file_fingerprint(*files: Path) -> str:
    """Return the SHA-256 over the content of files."""
    digest = hashlib.sha256()
    for file in files:
        require_file(file)
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def code_fingerprint(function: object, model: nn.Module) -> str | None:
    """Return the SHA-256 over the weights in `model` and the source text of `function`.

    For a module with weights only these count, so another version of its library does not change
    the fingerprint. Values that a function closes over do not count, except for a module. None if
    there is nothing to read.
    """
    weights = weights_fingerprint(model) if model.state_dict() else ""
    if weights and isinstance(function, nn.Module):
        return weights
    try:
        text = inspect.getsource(function if inspect.isroutine(function) else type(function))
    # Built-in and interactive functions have no source.
    except (OSError, TypeError):
        text = ""
    return hashlib.sha256(f"{weights}\n{text}".encode()).hexdigest() if weights or text else None
