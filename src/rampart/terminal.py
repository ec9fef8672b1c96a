"""The one place where text leaves for a terminal."""

import os
from typing import Any

from rich.console import Console

from rampart.errors import visible


class Terminal(Console):
    """Prints text as it is: names may look like markup or emoji, or hold control characters.

    Under `accelerate launch` every process runs the command; only the first one prints.
    """

    def __init__(self, **options: Any) -> None:
        quiet = os.environ.get("RANK", "0") != "0"
        super().__init__(quiet=quiet, highlight=False, markup=False, emoji=False, **options)

    def say(self, text: str, style: str | None = None) -> None:
        """Print one line, which is not broken at the width of the terminal."""
        self.print(visible(text), style=style, soft_wrap=True)

    def show(self, text: str) -> None:
        """Print several lines, such as a table, which are not broken."""
        self.print(visible(text, keep="\n"), soft_wrap=True)
