"""torch, imported at its first use: what only reads the options of components does not wait for it.

A module with options imports `torch`, `nn` and `F` from here, and the names that only its
annotations need under `TYPE_CHECKING`. A module that subclasses a class of torch imports torch
itself; the modules with options import it inside their functions.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
    import torch.nn.functional as F
    from torch import nn as nn
else:

    class _Deferred(ModuleType):
        """A module that is imported when one of its attributes is read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self.__name__), name)

    torch = _Deferred("torch")
    nn = _Deferred("torch.nn")
    F = _Deferred("torch.nn.functional")

__all__ = ["F", "nn", "torch"]
