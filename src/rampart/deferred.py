"""torch, imported at its first use, so that what only reads the options of components needs none.

A module with options imports `torch`, `nn` and `F` from here, under these names, and the names that
only its annotations need under `TYPE_CHECKING`. A module that subclasses a class of torch imports
torch itself; a module with options imports that module inside its functions.
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
            self._name, self._module = name, None

        def __getattr__(self, attribute: str) -> Any:
            if self._module is None:
                self._load()
            return getattr(self._module, attribute)

        def _load(self) -> None:
            # The whole first: two threads that begin with different parts wait for each other.
            import_module("torch")
            self._module = import_module(self.__name__)
            # Whoever took this object gets the module itself, which is faster to read. An entry of
            # `sys.modules` may be any object.
            for user in list(sys.modules.values()):
                if getattr(user, "__dict__", {}).get(self._name) is self:
                    setattr(user, self._name, self._module)

    torch = _Deferred("torch", "torch")
    nn = _Deferred("nn", "torch.nn")
    F = _Deferred("F", "torch.nn.functional")

__all__ = ["F", "nn", "torch"]
