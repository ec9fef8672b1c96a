"""Stopping on request: a signal is noted, the loop finishes its step, saves and stops."""

import signal
import threading
import time
from types import FrameType, TracebackType

import torch
from accelerate import Accelerator

from rampart.errors import RampartError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds.
ECHO = 1.0


class Interrupted(RampartError):
    """A run was stopped by a signal after it had saved a checkpoint."""

    def __init__(self, signal_number: int, step: int) -> None:
        self.signal_number = signal_number
        name = signal.Signals(signal_number).name
        super().__init__(
            f"stopped by {name} after step {step}, and a checkpoint is saved: go on with --resume."
        )


class Interrupts:
    """Notes SIGINT and SIGTERM inside the block; a later one acts as it always does.

    Within `ECHO` seconds another one is the same request: a process that others have started
    often gets a signal twice, as one of their group and passed on by them.
    """

    def __init__(self) -> None:
        self._received = 0
        self._heard: float | None = None

    def __enter__(self) -> "Interrupts":
        # Python lets only the main thread install handlers.
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            self._previous = {number: signal.getsignal(number) for number in _SIGNALS}
            for number in _SIGNALS:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._put_back()

    def requested(self, accelerator: Accelerator) -> bool:
        """Whether any process has received a signal; all processes get the same answer."""
        if accelerator.num_processes > 1:
            mine = torch.tensor([self._received], device=accelerator.device)
            self._received = int(accelerator.gather(mine).max())
        return self._received > 0

    def stop(self, step: int) -> None:
        """Raise `Interrupted` for the signal that was received."""
        raise Interrupted(self._received, step)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._heard is None:
            self._received, self._heard = number, now
        elif now > self._heard + ECHO:
            self._put_back()
            signal.raise_signal(number)

    def _put_back(self) -> None:
        if self._installed:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            self._installed = False
