"""Names of models, as they are read before anything is loaded."""

import re

from rampart.plugins import GIVEN

#: Prefixes that tell the kind of a model.
PREFIXES = ("timm", "torchvision", "hf")
#: Prefixes of timm's own names.
TIMM_PREFIXES = ("hf-hub", "local-dir")
_FUNCTION = re.compile(r"(.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_function(reference: str) -> bool:
    """Whether a name has the form "module:function" or "path/to/file.py:function"."""
    prefixed = reference.startswith((GIVEN, *(f"{one}:" for one in (*PREFIXES, *TIMM_PREFIXES))))
    return not prefixed and _FUNCTION.fullmatch(reference) is not None
