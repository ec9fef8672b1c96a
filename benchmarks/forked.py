"""The command line in a forked process: the imports are paid once, by the parent."""

import gc
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import torch

import rampart
from rampart.cli.main import main

#: No command imports them: they make a process larger, and so slower to fork.
_UNUSED = ("rampart.__main__", "rampart.integrations")
#: Slow to import, and imported by the commands that need them.
_LATE = ("datasets", "matplotlib.figure", "matplotlib.backends.backend_agg", "onnx", "onnxruntime")

_NEW = os.O_CREAT | os.O_TRUNC | os.O_WRONLY


def preload() -> None:
    """Import every module that commands use, so that forked processes need not; use one thread."""
    # A forked process has no threads of its parent.
    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(rampart.__path__, "rampart."):
        if not module.name.startswith(_UNUSED):
            importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    # A collection in a child would copy every page that it visits.
    gc.collect()
    gc.freeze()


def become(words: Sequence[str], folder: Path, out: Path, err: Path) -> NoReturn:
    """Become the command in a process that was just forked; leave without clean-up.

    Args:
        words: of the command line, without the name of the program.
        folder: in which the command works.
        out: takes standard output.
        err: takes standard error.
    """
    status = 1
    try:
        status = call(words, folder, out, err)
    finally:
        os._exit(status)


def call(words: Sequence[str], folder: Path, out: Path, err: Path) -> int:
    """Do what the command does, with the standard streams of this process; return its status."""
    for number, path, mode in ((0, Path(os.devnull), os.O_RDONLY), (1, out, _NEW), (2, err, _NEW)):
        opened = os.open(path, mode)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(folder)
    sys.argv = ["rampart", *words]
    # Processes that the command starts import its main module, which is not that of a benchmark.
    sys.modules["__main__"] = ModuleType("__main__")
    status = 1
    try:
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return status
