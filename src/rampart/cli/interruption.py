"""Ctrl-C, SIGTERM and a warning of SLURM: every verb says what is saved and how to go on."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rampart.errors import RampartError, visible
from rampart.stop_signals import answered, ours


@contextmanager
def explain_interruption(
    advice: str | Callable[[], str] = "run the same command again to resume",
) -> Iterator[None]:
    """On a signal that asks to stop, print how to go on and exit with 128 + its number.

    Args:
        advice: what the user can do; a function is called when the signal arrives.
    """

    received: list[int] = []

    @ours
    def stop(number: int, _frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt(number)

    # Python lets only the main thread install handlers.
    main = threading.current_thread() is threading.main_thread()
    # Of SIGINT Python makes a KeyboardInterrupt itself, unless a shell has it ignored.
    numbers = [one for one in answered() if one != signal.SIGINT] if main else []
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    except KeyboardInterrupt as interrupt:
        # Ray raises an interrupt of its own, without the number.
        number = interrupt.args[0] if interrupt.args else [signal.SIGINT, *received][-1]
        _leave(number, "stopped", advice)
    except RampartError as error:
        # A training run reports the signal itself, after its checkpoint.
        stopped: int | None = getattr(error, "signal_number", None)
        if stopped is None:
            raise
        _leave(stopped, str(error), advice)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _leave(number: int, what: str, advice: str | Callable[[], str]) -> None:
    text = advice if isinstance(advice, str) else advice()
    print(f"rampart: {visible(f'{what}; {text}.')}", file=sys.stderr)
    sys.exit(128 + number)
