"""One call of the command line in a forked process, and what is wrong with its outcome."""

import os
import resource
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.forked import become

#: Seconds of computing after which a command counts as hanging. On a machine with other work, and
#: for a command that only waits, as many times of wall time.
LIMIT, PATIENCE = 20, 6
#: Address space of one call in bytes: a setting that asks for more fails at once.
MEMORY = 8 * 2**30
#: Standard output and standard error in the folder of an attempt.
FILES = ("fuzz-out", "fuzz-err")


@dataclass(frozen=True)
class Outcome:
    """The outcome of one command.

    Attributes:
        status: exit status; minus the signal's number if one ended the process; None for a hang.
        out: standard output.
        err: standard error.
        seconds: of wall time.
    """

    status: int | None
    out: str
    err: str
    seconds: float

    @property
    def fault(self) -> str:
        """The kind of fault; "" for a command that worked or was refused in one sentence."""
        if self.status in (None, -signal.SIGXCPU):
            return "hang"
        if "Traceback (most recent call last)" in self.err or self.status < 0:
            return "traceback"
        if any(_is_control(one) for one in self.out + self.err):
            return "control character"
        if self.status == 2 and len(self.refusals) != 1:
            return "not one sentence"
        return ""

    @property
    def refusals(self) -> list[str]:
        """The lines of standard error that are errors of Rampart."""
        lines = self.err.splitlines()
        own = [one for one in lines if one.startswith("rampart: ")]
        return [one for one in own if not one.startswith("rampart: warning: ")]


def attempt(words: Sequence[str], folder: Path, limit: int = LIMIT) -> Outcome:
    """Call the command line with these words in a forked process.

    Args:
        words: of the command line, without the name of the program.
        folder: takes the output; the command works inside it.
        limit: seconds of computing.
    """
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        limit_memory()
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        become(words, folder, *(folder / name for name in FILES))
    status = _wait(child, begun + PATIENCE * limit)
    return outcome_of(status, folder, time.monotonic() - begun)


def limit_memory() -> None:
    """Limit the address space of this process; it leaves no core file."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def outcome_of(status: int | None, folder: Path, seconds: float) -> Outcome:
    """Return the outcome of a command that has worked in a folder."""
    out, err = ((folder / name).read_bytes().decode(errors="backslashreplace") for name in FILES)
    return Outcome(status, out, err, seconds)


def _wait(child: int, until: float) -> int | None:
    """Return the exit status of a child; kill it and its own children after `until`."""
    with os.fdopen(os.pidfd_open(child), "rb", closefd=True) as ended:
        ready, _, _ = select.select([ended], [], [], max(0.0, until - time.monotonic()))
    if not ready:
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if ready else None


def _is_control(one: str) -> bool:
    return (ord(one) < 32 and one not in "\n\t\r") or 127 <= ord(one) < 160
