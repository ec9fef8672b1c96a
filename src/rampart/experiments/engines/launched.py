"""One of the processes that accelerate starts for a run: `accelerate launch -m ... FOLDER`.

All processes train and evaluate together. The first one speaks for them.
"""

import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from rampart.errors import RampartWarning
from rampart.experiments.cells import describe_error, train_and_evaluate
from rampart.experiments.engines.base import number_of
from rampart.experiments.engines.launcher import RUN, Launched, write_outcome
from rampart.experiments.engines.outcome import Outcome
from rampart.plugins import import_parts
from rampart.stop_signals import STOPS
from rampart.training.interrupts import Interrupted


def main(folder: Path) -> NoReturn:
    """Carry out the part of this process, and write how it ended."""
    rank = int(os.environ["RANK"])
    if rank:
        sys.stdout = sys.stderr
    _listen()
    warnings.showwarning = _show_warning
    outcome = _carry_out(folder)
    write_outcome(folder, rank, outcome)
    sys.stderr.flush()
    if outcome == Outcome():
        _leave_group()
    # Leaving the group waits for the others, which a process that has failed must not.
    os._exit(1 if outcome.reason else 0)


def _listen() -> None:
    """Let signals stop this process, and the end of the standard input, which is the study's."""
    for number in STOPS:
        signal.signal(number, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=_obey, daemon=True).start()


def _obey() -> None:
    (number,) = os.read(0, 1) or (signal.SIGTERM,)
    # The others are blocked here, because SLURM sends them to all processes.
    os.kill(os.getpid(), number if number in STOPS else signal.SIGTERM)


def _stop(number: int, frame: object) -> None:
    # While it trains, a run handles the signal itself and saves a checkpoint first.
    raise KeyboardInterrupt(number)


def _carry_out(folder: Path) -> Outcome:
    try:
        run: Launched = pickle.loads((folder / RUN).read_bytes())
        import torch

        torch.set_num_threads(run.threads)
        for place in run.imports:
            import_parts(place)
        train_and_evaluate(pickle.loads(run.pickled), _report)
    except Interrupted as stop:
        return Outcome(signal_number=stop.signal_number)
    except KeyboardInterrupt as interrupt:
        return Outcome(signal_number=number_of(interrupt))
    except Exception as error:
        return Outcome(describe_error(error), traceback.format_exc())
    return Outcome()


def _report(line: str) -> None:
    # Without the study, a signal ends the run, after a checkpoint.
    with suppress(OSError):
        print(line, flush=True)


def _show_warning(
    message: Warning | str, category: type[Warning], *place: Any, **more: Any
) -> None:
    """Report a warning of Rampart; others go to the log."""
    if issubclass(category, RampartWarning):
        _report(f"warning: {message}")
    else:
        print(f"{category.__name__}: {message}", file=sys.stderr)


def _leave_group() -> None:
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
