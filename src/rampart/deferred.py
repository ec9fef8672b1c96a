"""torch, imported at its first use: what only reads the options of components does not wait for it.

A module with options imports `torch`, `nn` and `F` from here, and the names that only its
annotations need under `TYPE_CHECKING`. A module that subclasses a class of torch imports torch
itself; the modules with options import it inside their functions.
"""

import sys
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

        def __init__(self, name: str, module: str) -> None:
            super().__init__(module)
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            found = import_module(self.__name__)
            # Whoever took this object gets the module itself, which is faster to read. An entry of
            # `sys.modules` may be any object.
            for user in list(sys.modules.values()):
                if getattr(user, "__dict__", {}).get(self._name) is self:
                    setattr(user, self._name, found)
            return getattr(found, attribute)

    torch = _Deferred("torch", "torch")
    nn = _Deferred("nn", "torch.nn")
    F = _Deferred("F", "torch.nn.functional")

__all__ = ["F", "nn", "torch"]
