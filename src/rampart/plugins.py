"""Code of the user: a module on the path, or a file."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from rampart.errors import RampartError, reason

#: Before the name of a model or of data that Python code has given as an object.
GIVEN = "python:"
#: Places of parts that this process has imported; those that it starts import them too.
IMPORTED: list[str] = []


class CodeError(RampartError):
    """Code of the user that is not there, or that raises."""


@contextmanager
def user_code(place: str) -> Iterator[ModuleType]:
    """Import "module" or "path/to/file.py"; while it is in use, its folder is on the path.

    For a module that is the current folder. Everything in it is run: it is the user's own code.

    Raises:
        CodeError: no such module or file; it raises.
    """
    file = Path(place).expanduser() if place.endswith(".py") else None
    entry = str((file.parent if file else Path()).resolve())
    sys.path.insert(0, entry)
    try:
        yield _module(place) if file is None else _module_of_file(file)
    finally:
        # The user's code may have changed the path as well.
        if entry in sys.path:
            sys.path.remove(entry)


def import_parts(place: str) -> None:
    """Import code of the user that registers parts of its own; once in a process.

    What it imports in turn has to be imported as it is loaded, when its folder is on the path.

    Raises:
        CodeError: no such module or file; it raises; a part has the name of another one.
    """
    if place.endswith(".py"):
        place = str(Path(place).expanduser().resolve())
    if place in IMPORTED:
        return
    with user_code(place):
        IMPORTED.append(place)


def explain_raised(what: str, error: BaseException) -> CodeError:
    """Return the error for code of the user that raised: what, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    # Python's own frames of an import say nothing.
    places = [f"{f.filename}:{f.lineno}" for f in frames if not f.filename.startswith("<frozen")]
    return CodeError(f"the {what} raised {reason(error)} at {places[-1]}.")


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise explain_raised(f"module '{name}'", error) from error
        raise CodeError(
            f"there is no module '{error.name}' on the path or in the current folder; a file is "
            "written path/to/file.py."
        ) from error
    except Exception as error:
        raise explain_raised(f"module '{name}'", error) from error


def _module_of_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise CodeError(f"there is no file '{file}'.")
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
        raise explain_raised(f"file '{file}'", error) from error
    return module
