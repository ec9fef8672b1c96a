"""The user's own models: a function that returns one, in a module or a file."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from rampart.errors import ModelError, UnknownName
from rampart.models.foreign.evaluated import (
    EvaluatedModel,
    Function,
    Wanted,
    file_fingerprint,
    reason,
    weights_fingerprint,
)


def load_factory(reference: str, wanted: Wanted) -> EvaluatedModel:
    """Run a function of the user and return the model that it returns.

    The function takes no arguments; it returns a module or any callable from images (N, C, H, W)
    float32 in [0, 1] to logits (N, K). A module in place of a function is taken as it is. Folders
    on the path, the current one, and the file's own are searched for what is imported. Everything
    in the file is run: it is the user's own code.

    Args:
        reference: "module:function" or "path/to/file.py:function".
        wanted: what is asked of the model.

    Raises:
        ModelError: no such module or file; it or the function raises; what it returns cannot be
            called.
        UnknownName: the module has nothing of that name.
    """
    place, _, attribute = reference.rpartition(":")
    file = Path(place).expanduser() if place.endswith(".py") else None
    with _importing_from(file.parent if file else Path()):
        module = _module(place, reference) if file is None else _module_of_file(file, reference)
        model = _made(_attribute(module, attribute), reference)
    files = [Path(module.__file__)] if module.__file__ else []
    function = Function(model)
    weights = weights_fingerprint(function)
    return wanted.examine(
        wanted.normalised(function),
        name=reference,
        source="factory",
        fingerprint=hashlib.sha256(f"{file_fingerprint(*files)} {weights}".encode()).hexdigest(),
    )


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        # The user's code may have changed the path as well.
        if entry in sys.path:
            sys.path.remove(entry)


def _module(name: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(f"module '{name}'", reference, error) from error
        raise ModelError(
            f"model '{reference}': there is no module '{error.name}' on the path or in the current "
            "folder; for a file write path/to/file.py:FUNCTION."
        ) from error
    except Exception as error:
        raise _failed(f"module '{name}'", reference, error) from error


def _module_of_file(file: Path, reference: str) -> ModuleType:
    if not file.is_file():
        raise ModelError(f"model '{reference}': there is no file '{file}'.")
    # One name for each file, so that two of the same name do not meet.
    name = f"{file.stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _failed(f"file '{file}'", reference, error) from error
    return module


def _attribute(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            known = [k for k, v in vars(found).items() if callable(v) and not k.startswith("_")]
            raise UnknownName(f"function in {module.__name__}", name, known or ["none"])
        found = getattr(found, part)
    return found


def _made(factory: Any, reference: str) -> Callable[..., Any]:
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        got = type(factory).__name__
        raise ModelError(f"model '{reference}': expected a function that returns it, got a {got}.")
    try:
        model = factory()
    except Exception as error:
        raise _failed("function, called without arguments,", reference, error) from error
    if not callable(model):
        raise ModelError(
            f"model '{reference}': the function returned a {type(model).__name__}; expected a "
            "torch module or a callable from images to logits."
        )
    return model


def _failed(what: str, reference: str, error: BaseException) -> ModelError:
    """Return the error for code of the user that raised: what, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    # Python's own frames of an import say nothing.
    places = [f"{f.filename}:{f.lineno}" for f in frames if not f.filename.startswith("<frozen")]
    return ModelError(f"model '{reference}': the {what} raised {reason(error)} at {places[-1]}.")
