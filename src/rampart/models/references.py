"""Names of models, as they are read before anything is loaded."""

import re

from rampart.plugins import GIVEN

#: Prefixes that tell the kind of a model.
PREFIXES = ("timm", "torchvision", "hf")
#: Prefixes of timm's own names.
TIMM_PREFIXES = ("hf-hub", "local-dir")
#: Prefixes of the names in the catalogue of backbones.
CATALOGUE_PREFIXES = ("ares", "robustbench", "openclip", "madrylab")
_ALL = (*PREFIXES, *TIMM_PREFIXES, *CATALOGUE_PREFIXES)
_FUNCTION = re.compile(r"(.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_function(reference: str) -> bool:
    """Whether a name has the form "module:function" or "path/to/file.py:function"."""
    prefixed = reference.startswith((GIVEN, *(f"{one}:" for one in _ALL)))
    return not prefixed and _FUNCTION.fullmatch(reference) is not None
