"""Progress as plain lines, for a file, a log of SLURM or a pipe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rampart.progress.pace import Pace
from rampart.progress.work import Update, Work

#: Seconds between two lines: a share of the time so far, but at least and at most these.
SHARE, LEAST, MOST = 1 / 8, 15.0, 600.0


class Lines:
    """Says a line now and then: every 15 seconds at first, every 10 minutes in the end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def tell(self, text: str) -> None:
        """Say the sentence."""
        self._say(text)

    @contextmanager
    def begin(self, work: Work) -> Iterator[Update]:
        """Say lines during the block."""
        pace, last = Pace(work), 0.0

        def update(done: float, note: str = "") -> None:
            nonlocal last
            pace.update(done, note)
            elapsed = pace.elapsed
            # The result follows at once.
            if pace.done == work.total:
                return
            if elapsed - last >= min(MOST, max(LEAST, SHARE * elapsed)):
                last = elapsed
                self._say(f"{work.name}: {pace.spell()}")

        yield update
