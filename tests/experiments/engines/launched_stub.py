"""In place of accelerate: two processes that do as the first word says, without torch.

Usage: launched_stub.py WORD FOLDER
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rampart.experiments.engines.outcome import Outcome


def write(folder, rank, outcome):
    import pickle

    scratch = folder / f"scratch-{rank}"
    scratch.write_bytes(pickle.dumps(outcome))
    scratch.rename(folder / f"outcome-{rank}")


def process(word, folder, rank):
    # One write, so that the lines of both processes stay whole.
    os.write(1, f"line of {rank}\n".encode())
    tries = folder.parent / "tries"
    if rank == 1:
        with tries.open("a") as file:
            file.write(".")
    first = rank == 1 and len(tries.read_text()) == 1
    if word == "always" or (word == "dies" and first):
        print("last words", file=sys.stderr, flush=True)
        if rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return write(folder, rank, Outcome("its peer is gone"))
    if word == "fails":
        while rank == 1 and not (folder / "outcome-0").exists():
            time.sleep(0.01)
        return write(folder, rank, Outcome(f"planted in {rank}", "Traceback: of the run"))
    if word == "waits":
        (number,) = os.read(0, 1) or (signal.SIGTERM,)
        return write(folder, rank, Outcome(signal_number=number))
    return write(folder, rank, Outcome(signal_number=15 if word == "stopped" else 0))


def main(word, folder, rank=None):
    if rank is not None:
        return process(word, Path(folder), int(rank))
    children = [
        subprocess.Popen([sys.executable, __file__, word, folder, str(rank)]) for rank in range(2)
    ]
    return max(abs(child.wait()) for child in children)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
