"""How the reference reads docstrings: "Example:" is a section, as "Examples:" is for Griffe."""

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Rename a heading before docstrings are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the heading in the docstring of an object."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
