"""The bars of other libraries, such as those of their downloads, as work on our display.

torch, torchvision, timm, datasets and the client of the Hugging Face hub count with tqdm. Its bars
neither suit a file nor share a terminal with ours.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import Any

from rampart.progress.work import Display, Hidden, Update, Work, current_display

#: Bytes are counted in this unit.
MEGABYTE = 1_000_000


@contextmanager
def tqdm_bars(name: str = "downloading") -> Iterator[None]:
    """Show each bar of tqdm that begins in the block as work; without a display, change nothing.

    Args:
        name: of the work of a bar that has no name.
    """
    display = current_display()
    if isinstance(display, Hidden):
        yield
        return
    from tqdm.std import tqdm

    kept = {method: getattr(tqdm, method) for method in ("__init__", "__iter__", "update", "close")}
    begun: dict[int, _Bar] = {}

    def begin(bar: Any, *arguments: Any, disable: bool | None = False, **options: Any) -> None:
        kept["__init__"](bar, *arguments, disable=True, **options)
        # None disables a bar outside a terminal, and our display suits every place.
        if not disable:
            title, unit = options.get("desc") or name, options.get("unit", "it")
            begun[id(bar)] = _Bar(display, title.strip(" :"), unit, bar.n, bar.total)

    def iterate(bar: Any) -> Iterator[Any]:
        for one in kept["__iter__"](bar):
            yield one
            bar.update()
        bar.close()

    def update(bar: Any, n: float | None = 1) -> None:
        bar.n += n or 0
        if id(bar) in begun:
            begun[id(bar)].update(bar.n, bar.total)

    def close(bar: Any) -> None:
        if id(bar) in begun:
            begun.pop(id(bar)).close()

    for method, ours in zip(kept, (begin, iterate, update, close), strict=True):
        setattr(tqdm, method, ours)
    try:
        yield
    finally:
        for method, theirs in kept.items():
            setattr(tqdm, method, theirs)
        for bar in begun.values():
            bar.close()


class _Bar:
    """One bar as work."""

    #: Downloads run in threads.
    _lock = RLock()

    def __init__(
        self, display: Display, name: str, unit: str, done: float, total: float | None
    ) -> None:
        # The hub's client names a file by its address.
        self._display, self._name = display, name.rpartition("/")[2] if unit == "B" else name
        self._divisor = MEGABYTE if unit == "B" else 1
        self._unit = "megabyte" if unit == "B" else unit.strip().removesuffix("s")
        self._open, self._done, self._total = ExitStack(), done, total
        self._update = self._begin()

    def update(self, done: float, total: float | None) -> None:
        """Show how far the bar is."""
        with self._lock:
            if total != self._total:
                self._total = total
                self._update = self._begin()
            self._done = done
            self._update(done / self._divisor)

    def close(self) -> None:
        """End the work."""
        with self._lock:
            self._open.close()

    def _begin(self) -> Update:
        """Begin the work, anew if its total has become known or has grown."""
        with self._lock:
            self._open.close()
            units = math.ceil(self._total / self._divisor) if self._total else None
            work = Work(self._name, units, self._unit, self._done / self._divisor)
            return self._open.enter_context(self._display.begin(work))
