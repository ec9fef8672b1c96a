"""The one place where text leaves for a terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from rampart.errors import visible


class Terminal(Console):
    """Prints text as it is: names may look like markup or emoji, or hold control characters.

    Under `accelerate launch` every process runs the command; only the first one prints. With
    NO_COLOR in the environment nothing is styled; FORCE_COLOR styles text in a file too.
    """

    def __init__(self, **options: Any) -> None:
        quiet = os.environ.get("RANK", "0") != "0"
        if os.environ.get("NO_COLOR"):
            options["color_system"] = None
        super().__init__(quiet=quiet, highlight=False, markup=False, emoji=False, **options)

    @property
    def draws(self) -> bool:
        """Whether the text can move, as a progress bar does; FORCE_COLOR makes no terminal."""
        return self.is_terminal and not self.is_dumb_terminal and self.file.isatty()

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show during the block what is done, if the text can move."""
        if not self.draws:
            yield
            return
        with self.status(what):
            yield

    def say(self, text: str, style: str | None = None) -> None:
        """Print one line, which is not broken at the width of the terminal."""
        self.print(visible(text), style=style, soft_wrap=True)

    def show(self, text: str) -> None:
        """Print several lines, such as a table, which are not broken."""
        self.print(visible(text, keep="\n"), soft_wrap=True)
