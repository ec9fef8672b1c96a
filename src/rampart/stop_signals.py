"""The signals that ask a program to save its work and stop.

SIGINT is Ctrl-C. SIGTERM comes from `kill`, from SLURM before it ends a job, and from Ray. SIGUSR1
and SIGUSR2 are those that users of SLURM ask for before the time of a job is up (`sbatch
--signal`); without an answer they end a process at once.
"""

import signal
from collections.abc import Callable
from typing import Any, TypeVar

Handler = TypeVar("Handler", bound=Callable[..., Any])

#: Always answered.
STOPS = (signal.SIGINT, signal.SIGTERM)
#: Answered unless other code does, such as submitit for SIGUSR2. Windows has neither.
WARNINGS = tuple(
    signal.Signals(getattr(signal, name))
    for name in ("SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)


def ours(handler: Handler) -> Handler:
    """Mark a handler of Rampart, which another one may replace for a while; a decorator."""
    handler.is_ours = True  # type: ignore[attr-defined]
    return handler


def answered() -> tuple[signal.Signals, ...]:
    """Return the signals that Rampart answers in this process."""
    return (*STOPS, *filter(_is_free, WARNINGS))


def _is_free(number: signal.Signals) -> bool:
    handler = signal.getsignal(number)
    return handler == signal.SIG_DFL or getattr(handler, "is_ours", False)
