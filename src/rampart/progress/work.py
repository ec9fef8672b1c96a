"""Long work says how far it is; a display, where there is one, shows it.

The core counts inside `working` or `watched` and prints nothing. Whoever runs the core chooses a
display by `showing`; without one, nothing is shown. The display belongs to the current context, as
a logger does, so that no function needs an argument for it. Threads and worker processes have none.
"""

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
        total: number of units.
        unit: the noun of one unit.
        done: units that are done at the beginning, as after a resume.
        cost: the cost of the first n units, in any unit of its own, where they cost unequally; it
            does not fall as n grows. It weighs the remaining time.
    """

    name: str
    total: int
    unit: str = "image"
    done: int = 0
    cost: Callable[[float], float] = float


class Update(Protocol):
    """Receives how far the work is."""

    def __call__(self, done: int, note: str = "") -> None:
        """Show that `done` units of the work are done; `note` says more, such as "eps 4/255"."""


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


def _ignore(done: int, note: str = "") -> None:
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
    return not isinstance(_DISPLAY.get(_HIDDEN), Hidden)


def tell(text: str) -> None:
    """Show a sentence about the work on the display."""
    _DISPLAY.get(_HIDDEN).tell(text)


def working(
    name: str,
    total: int,
    unit: str = "image",
    *,
    done: int = 0,
    cost: Callable[[float], float] = float,
) -> AbstractContextManager[Update]:
    """Show a piece of work during a block, which calls the update; arguments as in `Work`.

    Example:
        >>> with working("decoding", 3) as update:
        ...     for number in range(3):
        ...         update(number + 1)
    """
    return _DISPLAY.get(_HIDDEN).begin(Work(name, total, unit, done, cost))


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
