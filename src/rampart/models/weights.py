"""Loading weights from a file into a model; every key must fit."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from rampart.errors import ModelError

Weights = dict[str, Tensor]


def read_weights(path: Path) -> Weights:
    """Return the tensors in a safetensors or torch file without running code from the file.

    Raises:
        ModelError: the file cannot be read, or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"weights file '{path}' cannot be read ({reason}).") from error
    weights = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ModelError(f"weights file '{path}' holds no state_dict of tensors: save one.")
    return weights


def head_modules(backbone: nn.Module) -> list[str]:
    """Return the names of the modules that timm calls the classifier."""
    head = backbone.get_classifier()  # type: ignore[operator]  # timm's interface
    heads = head if isinstance(head, tuple | list) else [head]
    return [name for name, module in backbone.named_modules() if any(module is h for h in heads)]


def is_head(key: str, heads: list[str]) -> bool:
    """Whether a key of a state_dict belongs to one of the modules in `heads`."""
    return any(key == name or key.startswith(f"{name}.") for name in heads)


def fit_weights(backbone: nn.Module, weights: Weights, pretrained_head: bool, origin: str) -> None:
    """Load weights into a backbone strictly; those of the head only with `pretrained_head`.

    Raises:
        ModelError: keys are missing, unexpected or of another shape.
    """
    heads = [] if pretrained_head else head_modules(backbone)
    own = {k: v for k, v in backbone.state_dict().items() if not is_head(k, heads)}
    given = {k: v for k, v in weights.items() if not is_head(k, heads)}
    faults = misfits(own, given)
    if faults:
        raise ModelError(
            f"the weights in '{origin}' do not fit the model: {'; '.join(faults)}. Use the "
            "architecture and the options that they were trained with."
        )
    backbone.load_state_dict(given, strict=False)


def misfits(own: Weights, given: Weights) -> list[str]:
    """Return the differences of weights from those of a model: missing keys and so on."""
    faults = {
        "missing": sorted(own.keys() - given.keys()),
        "unexpected": sorted(given.keys() - own.keys()),
        "of another shape": [
            f"{key} {tuple(given[key].shape)} instead of {tuple(own[key].shape)}"
            for key in sorted(own.keys() & given.keys())
            if own[key].shape != given[key].shape
        ],
    }
    return [
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for kind, keys in faults.items()
        if keys
    ]
