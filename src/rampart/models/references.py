"""Names of models, as they are read before anything is loaded."""

import re
from importlib.util import find_spec
from pathlib import Path

from rampart.errors import nearest
from rampart.plugins import GIVEN

#: Prefixes that tell the kind of a model.
PREFIXES = ("timm", "torchvision", "hf")
#: Prefixes of timm's own names.
TIMM_PREFIXES = ("hf-hub", "local-dir")
#: Prefixes of the names in the catalogue of backbones.
CATALOGUE_PREFIXES = ("ares", "robustbench", "openclip", "madrylab")
#: All prefixes.
ALL_PREFIXES = (*PREFIXES, *TIMM_PREFIXES, *CATALOGUE_PREFIXES)
_FUNCTION = re.compile(r"(.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_function(reference: str) -> bool:
    """Whether a name has the form "module:function" or "path/to/file.py:function"."""
    prefixed = reference.startswith((GIVEN, *(f"{one}:" for one in ALL_PREFIXES)))
    return not prefixed and _FUNCTION.fullmatch(reference) is not None


def misspelled_prefix(reference: str) -> str:
    """Return a name with the prefix that it misspells; "" if it has none, or names a module.

    `robustbnch:x` is `robustbench:x`, and `local-dri:x` is `local-dir:x`.
    """
    prefix, colon, rest = reference.partition(":")
    near = nearest(prefix, ALL_PREFIXES, n=1) if colon and prefix not in ALL_PREFIXES else []
    return f"{near[0]}:{rest}" if near and "." not in prefix and not _importable(prefix) else ""


def _importable(module: str) -> bool:
    found = module.isidentifier() and find_spec(module) is not None
    return found or Path(f"{module}.py").is_file() or Path(module).is_dir()
