"""Stopping by a signal: the loop finishes its step, saves a checkpoint and stops."""

import signal
import threading
import time
from types import FrameType, TracebackType

import torch
from accelerate import Accelerator

from rampart.errors import RampartError
from rampart.stop_signals import answered, ours

#: Within so many seconds a second signal counts as the same request.
ECHO = 1.0


class Interrupted(RampartError):
    """A signal stopped the run, and a checkpoint is saved."""

    def __init__(self, signal_number: int, step: int) -> None:
        self.signal_number = signal_number
        name = signal.Signals(signal_number).name
        super().__init__(f"stopped by {name} after step {step}, and a checkpoint is saved")


class Interrupts:
    """Records the signals that ask to stop inside the block; a later one acts as usual.

    A signal within `ECHO` seconds of the first is the same request: a child process often gets a
    signal twice, from its process group and from its parent.
    """

    def __init__(self) -> None:
        self._received = 0
        self._received_at: float | None = None

    def __enter__(self) -> "Interrupts":
        # Python lets only the main thread install handlers.
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            self._previous = {number: signal.getsignal(number) for number in answered()}
            for number in self._previous:
                signal.signal(number, self._record)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore_handlers()

    @property
    def received(self) -> int:
        """The number of the signal that this process has received; 0 without one."""
        return self._received

    def requested(self, accelerator: Accelerator) -> bool:
        """Whether any process has received a signal; the same answer on all processes."""
        if accelerator.num_processes > 1:
            mine = torch.tensor([self._received], device=accelerator.device)
            self._received = int(accelerator.gather(mine).max())
        return self._received > 0

    def stop(self, step: int) -> None:
        """Raise `Interrupted` for the signal that was received."""
        raise Interrupted(self._received, step)

    @ours
    def _record(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._received_at is None:
            self._received, self._received_at = number, now
        elif now > self._received_at + ECHO:
            self._restore_handlers()
            signal.raise_signal(number)

    def _restore_handlers(self) -> None:
        if self._installed:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            self._installed = False
