"""Kill a piece of work at each of its changes of files, one after another.

A child process does the work and ends at its n-th change, as after SIGKILL: nothing is cleaned up.
Use it in a process without torch, which may fork.
"""

import os
import sys
from collections.abc import Callable, Iterator

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}


def _is_change(event: str, args: tuple[object, ...]) -> bool:
    if event == "open":
        mode, flags = args[1:]
        return bool(set(str(mode or "")) & set("wax+")) or bool(int(flags) & os.O_CREAT)
    return event in _CHANGES


def kill_at_every_change(work: Callable[[], None], prepare: Callable[[], None]) -> Iterator[int]:
    """Prepare, do a part of the work and yield its number of changes, until all of it is done."""
    for last in range(1000):
        prepare()
        child = os.fork()
        if not child:
            _work_until(last, work)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 9), code
        yield last
        if code == 0:
            return
    raise AssertionError("the work has no end")


def _work_until(last: int, work: Callable[[], None]) -> None:
    done = 0

    def count(event: str, args: tuple[object, ...]) -> None:
        nonlocal done
        if _is_change(event, args):
            if done == last:
                os._exit(9)
            done += 1

    sys.addaudithook(count)
    try:
        work()
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)
