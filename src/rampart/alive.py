"""Whether a process of this machine still runs: a number alone may belong to a later process."""

import os


def start_of(process: int) -> float | None:
    """Return when a process started, in seconds since 1970; None if it is gone."""
    import psutil

    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
    except psutil.NoSuchProcess:
        return None


def own_start() -> float:
    """Return when this process started."""
    started = start_of(os.getpid())
    assert started is not None, "this process runs"
    return started


def is_alive(process: int, started: float) -> bool:
    """Whether the process with this number that started then still runs."""
    found = start_of(process)
    return found is not None and abs(found - started) < 2
