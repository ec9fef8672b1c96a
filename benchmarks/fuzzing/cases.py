"""Cases to try: a command, and whether it was right to succeed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.fuzzing.attempts import Outcome


@dataclass(frozen=True)
class Case:
    """A command to try.

    Attributes:
        words: of the command line.
        is_right: whether the command, which has ended with status 0, was right to do so.
    """

    words: list[str]
    is_right: Callable[[Outcome], bool] = lambda outcome: True


#: Draws a case, and writes its files into the folder in which the command works.
Kind = Callable[[Random, Path], Case]
