"""Models of the user: a function in a module or a file returns one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from rampart.errors import ModelError, UnknownName
from rampart.models.external.fingerprints import file_fingerprint, weights_fingerprint
from rampart.models.external.loaded import Function, LoadedModel, Wanted
from rampart.models.normalized import require_pixels
from rampart.plugins import CodeError, explain_raised, user_code


def load_factory(reference: str, wanted: Wanted) -> LoadedModel:
    """Run a function of the user and return the model that it returns.

    The function takes no arguments. It returns a module or any callable from images (N, C, H, W)
    float32 in [0, 1] to logits (N, K). The reference may also name a module itself. Imports search
    the Python path, the current folder and the folder of the file. All code in the file is run.

    Args:
        reference: "module:function" or "path/to/file.py:function".
        wanted: requirements on the model.

    Raises:
        ModelError: the module or file does not exist, it or the function raises, or the result
            cannot be called.
        UnknownName: the module has no such function.
        InvalidArgument: a bare network of timm without mean and std.
    """
    model, files = call_function(reference)
    require_pixels(model, wanted.mean)
    function, size = Function(model), wanted.size((None, None, None))
    if size is not None:
        function.move(size, wanted.device)
    weights = weights_fingerprint(function)
    return wanted.examine(
        wanted.normalized(function),
        name=reference,
        source="factory",
        fingerprint=hashlib.sha256(f"{file_fingerprint(*files)} {weights}".encode()).hexdigest(),
    )


def call_function(reference: str) -> tuple[Callable[..., Any], list[Path]]:
    """Return what a function of the user returns, and the file of its code.

    Raises:
        ModelError: the module or file does not exist, it or the function raises, or the result
            cannot be called.
        UnknownName: the module has no such function.
    """
    place, _, attribute = reference.rpartition(":")
    try:
        with user_code(place) as module:
            model = _make_model(_attribute(module, attribute), reference)
    except CodeError as error:
        raise ModelError(f"model '{reference}': {error}") from error
    return model, [Path(module.__file__)] if module.__file__ else []


def _attribute(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [k for k, v in vars(found).items() if callable(v) and not k.startswith("_")]
            place = Path(module.__file__ or module.__name__).name
            raise UnknownName(f"function in {place}", name, known or ["none"])
        found = getattr(found, part)
    return found


def _make_model(factory: Any, reference: str) -> Callable[..., Any]:
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        got = type(factory).__name__
        raise ModelError(f"model '{reference}': expected a function that returns it, got a {got}.")
    try:
        model = factory()
    except Exception as error:
        raise explain_raised("function, called without arguments,", error) from error
    if not callable(model):
        raise ModelError(
            f"model '{reference}': the function returned a {type(model).__name__}; expected a "
            "torch module or a callable from images to logits."
        )
    return model
