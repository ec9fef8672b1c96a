"""Packages that only some users need, imported at the moment of use."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from rampart.errors import MissingExtra, reason


def require_extra(package: str, extra: str, purpose: str) -> ModuleType:
    """Import a package of an extra, or one of its modules, and return it.

    Args:
        package: name of the package or module, such as "ray.tune".
        extra: the extra of Rampart that installs it.
        purpose: what needs it; the error begins with these words.

    Raises:
        MissingExtra: it is not installed, or it is and cannot be imported.
    """
    root = package.partition(".")[0]
    if find_spec(root) is None:
        raise MissingExtra(root, extra, purpose)
    try:
        return import_module(package)
    # A package without its own packages, or built for others, raises errors of many kinds.
    except Exception as error:
        raise MissingExtra(package, extra, purpose, reason(error)) from error
