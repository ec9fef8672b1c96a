"""How much memory this process may use for decoded images."""

import os
from pathlib import Path

import psutil

from rampart.files import read_text

#: Part of the memory at hand that decoded images may take; training needs the rest.
PART = 4
#: Where Linux says how much a container may use, and how much it uses.
_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def cache_limit() -> int:
    """Return the bytes that decoded images may take with cache="auto".

    That is a quarter of the memory that is free, divided among the processes of a run on this
    machine, each of which has all images.
    """
    return memory_at_hand() // (PART * processes_here())


def memory_at_hand() -> int:
    """Return the bytes that are free on this machine, or in its container."""
    return min([psutil.virtual_memory().available, *_left_in_container()])


def _left_in_container() -> list[int]:
    left = []
    for most, used in _LIMITS:
        try:
            left.append(int(read_text(most)) - int(read_text(used)))
        # There is no such file, or no limit ("max").
        except (OSError, ValueError):
            continue
    return [max(0, one) for one in left]


def processes_here() -> int:
    """Return how many processes train together on this machine, as accelerate and torchrun say."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE") or 1))


def cores_here() -> int:
    """Return the cores that each of these processes has."""
    # A cluster may give a job some cores of its machine only.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores // processes_here())
