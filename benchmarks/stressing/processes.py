"""Commands in processes of their own: start them, kill them, and see that nothing is left."""

import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.forked import become
from benchmarks.stressing.changes import Death, die_at, write_trace
from benchmarks.stressing.part import DEATH, DIED, ROOT, TRACE
from benchmarks.stressing.scenarios import Scenario

#: Seconds after which a command counts as stuck, and after which its processes have to be gone.
STUCK, GONE = 600.0, 120.0
#: Seconds that the other processes of a training live after one has died, as under torchrun.
_AFTER = 0.5
_POLL = 0.01


@dataclass(frozen=True)
class End:
    """How a command ended.

    Attributes:
        status: exit status; minus a signal's number; None if it was stuck.
        killed: whether a process was killed on purpose.
        left: processes that were still there long after the end.
        seconds: of wall time.
        err: the end of standard error.
    """

    status: int | None
    killed: bool
    left: tuple[str, ...]
    seconds: float
    err: str


@dataclass(frozen=True)
class Kill:
    """When a process is killed: at a moment or at a change of a file.

    Attributes:
        seconds: after the start; ignored with a death.
        death: the change of a file.
        rank: of the process among those of one training.
    """

    seconds: float = 0.0
    death: Death | None = None
    rank: int = 0

    def __str__(self) -> str:
        where = f" in process {self.rank}" if self.rank else ""
        if self.death:
            return f"before change {self.death.number} of kind '{self.death.kind}'{where}"
        return f"after {self.seconds:.2f} s{where}"


def carry_out(
    scenario: Scenario, folder: Path, kill: Kill | None = None, trace: Path | None = None
) -> End:
    """Run the next command of a scenario in `folder` to its end, or until it is killed.

    Args:
        scenario: the command.
        folder: in which the command works.
        kill: kill the victim of the scenario then.
        trace: a file that lists the changes of the victim.
    """
    words, begun = scenario.next_words(folder), time.monotonic()
    port = str(_free_port()) if scenario.processes > 1 else ""
    children = [
        _start(scenario, words, folder, rank, port, kill, trace)
        for rank in range(scenario.processes)
    ]
    killed, status = _follow(scenario, children, kill, begun)
    seconds = time.monotonic() - begun
    left = _left(children)
    killed |= (folder / DIED).exists()
    (folder / DIED).unlink(missing_ok=True)
    err = "".join(path.read_text("utf-8", "replace") for path in sorted(folder.glob("err-*")))
    for path in folder.glob("err-*"):
        path.unlink()
    return End(status, killed, left, seconds, err[-2000:])


def _start(
    scenario: Scenario,
    words: Sequence[str],
    folder: Path,
    rank: int,
    port: str,
    kill: Kill | None,
    trace: Path | None,
) -> int:
    child = os.fork()
    if child:
        return child
    # The processes of a command are those of its session.
    os.setsid()
    root = folder / scenario.output
    if scenario.processes > 1:
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": scenario.processes}
        names |= {"LOCAL_WORLD_SIZE": scenario.processes}
        os.environ |= {key: str(value) for key, value in names.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    death = kill.death if kill and kill.rank == rank else None
    if scenario.victim == "worker":
        os.environ |= {ROOT: str(root)}
        os.environ |= {TRACE: str(trace)} if trace else {}
        os.environ |= {DEATH: f"{death.kind} {death.number}"} if death else {}
    elif trace and not rank:
        write_trace(root, trace)
    elif death:
        die_at(root, death, folder / DIED)
    return become(words, folder, folder / "out.txt", folder / f"err-{rank}")


def _follow(
    scenario: Scenario, children: Sequence[int], kill: Kill | None, begun: float
) -> tuple[bool, int | None]:
    """Wait for the end of all processes; return whether one was killed here, and the status."""
    killed, statuses = False, dict[int, int]()
    at = kill.seconds if kill and kill.death is None else None
    while len(statuses) < len(children):
        now = time.monotonic() - begun
        if at is not None and now >= at and not killed:
            victim = children[kill.rank] if kill else 0
            found = victim if scenario.victim == "command" else _worker(victim)
            if found:
                killed = found not in statuses
                _kill(found)
            elif victim in statuses:
                at = None
        if now > STUCK:
            for child in children:
                _kill(child)
            return killed, None
        for child in children:
            if child not in statuses and (ended := os.waitpid(child, os.WNOHANG))[0]:
                statuses[child] = os.waitstatus_to_exitcode(ended[1])
                if statuses[child]:
                    _end_others(children, statuses)
        time.sleep(_POLL)
    return killed, min(statuses.values()) or max(statuses.values())


def _end_others(children: Sequence[int], statuses: dict[int, int]) -> None:
    """Kill the other processes of a training of which one has died, as torchrun does."""
    if len(children) > len(statuses):
        time.sleep(_AFTER)
        for child in children:
            if child not in statuses:
                _kill(child)


def _worker(command: int) -> int:
    """Return a worker of a study; 0 without one."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(command).children():
            if any("spawn_main" in word for word in child.cmdline()):
                return child.pid
    return 0


def _left(sessions: Sequence[int]) -> tuple[str, ...]:
    """Return the processes of these sessions that do not end, and kill them."""
    end = time.monotonic() + GONE
    while (found := _members(sessions)) and time.monotonic() < end:
        time.sleep(5 * _POLL)
    names = []
    for one in found:
        with suppress(psutil.NoSuchProcess):
            names.append(" ".join(one.cmdline())[:200])
            one.kill()
    return tuple(names)


def _members(sessions: Sequence[int]) -> list[psutil.Process]:
    found = []
    for number in psutil.pids():
        with suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(number) in sessions:
                one = psutil.Process(number)
                if one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
    return found


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
