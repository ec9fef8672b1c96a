"""Import the user's own code: a module on the path, or a file."""

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from rampart.errors import RampartError, reason

#: Prefix of the name of a model or dataset that Python code passes as an object.
GIVEN = "python:"
#: Modules and files that `import_parts` imported; processes that this one starts import them too.
IMPORTED: list[str] = []


class CodeError(RampartError):
    """The user's own code is missing or raises."""


@contextmanager
def user_code(place: str) -> Iterator[ModuleType]:
    """Import "module" or "path/to/file.py", with its folder on the path inside the block.

    For a module the folder is the current one. The import runs all code of the module.

    Raises:
        CodeError: the module or file is missing or raises.
    """
    file = Path(place).expanduser() if place.endswith(".py") else None
    entry = str((file.parent if file else Path()).resolve())
    sys.path.insert(0, entry)
    try:
        yield _module(place) if file is None else _module_of_file(file)
    finally:
        # The user's code may have removed it already.
        if entry in sys.path:
            sys.path.remove(entry)


def import_parts(place: str) -> None:
    """Import the user's code that registers parts, once per process.

    Its folder is on the path only while it loads, so its own imports belong at the top of the file.

    Raises:
        CodeError: the module or file is missing or raises, or the name of a part is taken.
    """
    if place.endswith(".py"):
        place = str(Path(place).expanduser().resolve())
    if place in IMPORTED:
        return
    with user_code(place):
        IMPORTED.append(place)


def explain_raised(what: str, error: BaseException) -> CodeError:
    """Return the error for the user's code that raised: which code, and in which line."""
    return CodeError(f"the {what} raised {reason(error)}{place_of(error)}.")


def place_of(error: BaseException) -> str:
    """Return " at FILE:LINE", the last line of the user's code on the way to an error, or ""."""
    torch = sys.modules.get("torch")
    roots = [
        str(Path(file).parent) for file in (__file__, getattr(torch, "__file__", None)) if file
    ]
    # Lines of Python's import system, of torch and of Rampart do not help the user.
    foreign = ("<", *(f"{root}{os.sep}" for root in roots))
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{f.filename}:{f.lineno}" for f in frames if not f.filename.startswith(foreign)]
    return f" at {places[-1]}" if places else ""


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise explain_raised(f"module '{name}'", error) from error
        raise CodeError(
            f"module '{error.name}' was not found on the path or in the current folder; write a "
            "file as path/to/file.py."
        ) from error
    except Exception as error:
        raise explain_raised(f"module '{name}'", error) from error


def _module_of_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise CodeError(f"file '{file}' was not found.")
    # One module name per path, so that two files of the same name do not clash.
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
        raise explain_raised(f"file '{file}'", error) from error
    return module
