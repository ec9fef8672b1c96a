"""Imported by the workers of a study: one of them dies where the environment says, once."""

import multiprocessing
import os
from pathlib import Path

from benchmarks.stressing.changes import Death, die_at, write_trace

#: Variables of the environment.
ROOT, TRACE, DEATH = "STRESS_ROOT", "STRESS_TRACE", "STRESS_DEATH"
#: A file that the process creates that dies.
DIED = "died"

if multiprocessing.parent_process() is not None and ROOT in os.environ:
    root = Path(os.environ[ROOT])
    if TRACE in os.environ:
        write_trace(root, Path(os.environ[TRACE]))
    if DEATH in os.environ:
        kind, _, number = os.environ[DEATH].rpartition(" ")
        # Of several workers, and of a worker and its successor, one dies.
        die_at(root, Death(kind, int(number)), root.parent / DIED)
