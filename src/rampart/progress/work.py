"""Long work says how far it is; a display, where there is one, shows it.

The core counts inside `working` or `watched` and prints nothing. Whoever runs the core chooses a
display by `showing`; without one, nothing is shown. The display belongs to the current context, as
a logger does, so that no function needs an argument for it. Threads and worker processes have none.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """A countable piece of work.

    Attributes:
        name: what is done, such as "validation".
        total: number of units; None if it is unknown.
        unit: the noun of one unit.
        done: units that are done at the beginning, as after a resume.
        cost: the cost of the first n units, in any unit of its own, where they cost unequally; it
            does not fall as n grows. It weighs the remaining time.
        seconds: the work ends after this time, even if units are left.
    """

    name: str
    total: int | None
    unit: str = "image"
    done: float = 0
    cost: Callable[[float], float] = float
    seconds: float = math.inf


class Update(Protocol):
    """Receives how far the work is."""

    def __call__(self, done: float, note: str = "") -> None:
        """Show how many units are done; `note` says more, such as "eps 4/255".

        A fraction counts units that have begun: 2.5 runs are 2 runs and half of another one.
        """


class Display(Protocol):
    """Shows work; it never changes the results."""

    def begin(self, work: Work) -> AbstractContextManager[Update]:
        """Show a piece of work during a block; another one may begin inside it."""

    def tell(self, text: str) -> None:
        """Show a sentence about the work, such as its cost."""


class Hidden:
    """Shows nothing."""

    @contextmanager
    def begin(self, work: Work) -> Iterator[Update]:
        """Show nothing."""
        yield _ignore

    def tell(self, text: str) -> None:
        """Show nothing."""


def _ignore(done: float, note: str = "") -> None:
    """Ignore how far the work is."""


_HIDDEN = Hidden()
_DISPLAY: ContextVar[Display] = ContextVar("display")


@contextmanager
def showing(display: Display) -> Iterator[None]:
    """Show the work of the block on a display."""
    token = _DISPLAY.set(display)
    try:
        yield
    finally:
        _DISPLAY.reset(token)


def is_shown() -> bool:
    """Return whether anyone looks, so that what is shown may cost something."""
    return not isinstance(current_display(), Hidden)


def current_display() -> Display:
    """Return the display of this context, for threads that the work starts."""
    return _DISPLAY.get(_HIDDEN)


def tell(text: str) -> None:
    """Show a sentence about the work on the display."""
    current_display().tell(text)


def working(
    name: str,
    total: int | None,
    unit: str = "image",
    *,
    done: float = 0,
    cost: Callable[[float], float] = float,
    seconds: float = math.inf,
) -> AbstractContextManager[Update]:
    """Show a piece of work during a block, which calls the update; arguments as in `Work`.

    Example:
        >>> with working("decoding", 3) as update:
        ...     for number in range(3):
        ...         update(number + 1)
    """
    return current_display().begin(Work(name, total, unit, done, cost, seconds))


def watched(
    parts: Iterable[T],
    name: str,
    total: int,
    unit: str = "image",
    count: Callable[[T], int] = lambda part: 1,
) -> Iterator[T]:
    """Yield the parts; show how much of the work they make up.

    Args:
        parts: such as batches; a part counts as done when the next one is asked for.
        name, total, unit: as in `Work`.
        count: returns the number of units of a part.
    """
    done = 0
    with working(name, total, unit) as update:
        for part in parts:
            yield part
            done += count(part)
            update(done)
