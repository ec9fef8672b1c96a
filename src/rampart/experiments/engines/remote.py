"""One run in a process that another program starts, perhaps on another machine.

The program sends a `RemoteRun` and gets an `Outcome`. Both are plain values; the run inside is
pickled, because the user's parts have to be imported before it can be read.
"""

import getpass
import hashlib
import os
import pickle
import shutil
import socket
import tempfile
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from rampart.errors import RunError
from rampart.experiments.cells import (
    Cell,
    FailedRun,
    ReportLine,
    attempt,
    describe_error,
    save_failure,
)
from rampart.experiments.engines.base import number_of
from rampart.experiments.engines.launcher import carrier
from rampart.experiments.engines.outcome import Outcome
from rampart.experiments.engines.packing import pack, unpack
from rampart.files import read_text
from rampart.plugins import IMPORTED, import_parts
from rampart.runs.lock import GONE, RENEWED, writer_of


@dataclass(frozen=True)
class RemoteRun:
    """A run to carry out.

    Attributes:
        pickled: the run.
        imports: the user's code that registers parts.
        working_folder: to which relative paths of data and outputs refer.
        threads: CPU threads, over all processes of the run.
        gpu: whether the run may use a GPU.
        pulled: the run is carried out in a scratch folder and sent back when it is complete.
        processes: number of processes of accelerate that carry out the run.
    """

    pickled: bytes
    imports: tuple[str, ...]
    working_folder: Path
    threads: int
    gpu: bool = True
    pulled: bool = False
    processes: int = 1


def remote_run(
    cell: Cell, threads: int, *, gpu: bool = True, pulled: bool = False, processes: int = 1
) -> RemoteRun:
    """Return a run as it is sent to another process."""
    run, imports, place = pickle.dumps(cell), tuple(IMPORTED), Path.cwd()
    return RemoteRun(run, imports, place, threads, gpu, pulled, processes)


def carry_out(run: RemoteRun, report: ReportLine) -> Outcome:
    """Carry out a run; in the process that the other program started."""
    try:
        return _carry_out(run, report)
    except KeyboardInterrupt as interrupt:
        return Outcome(signal_number=number_of(interrupt))
    except Exception as error:
        return Outcome(describe_error(error), traceback.format_exc())


def receive(cell: Cell, outcome: Outcome) -> FailedRun | None:
    """Write what a run sent back; return its failure or None."""
    if outcome.reason:
        return save_failure(cell, outcome.reason, outcome.detail)
    if outcome.packed is not None:
        try:
            unpack(outcome.packed, cell.folder)
        except RunError as error:
            return save_failure(cell, str(error))
    cell.error_file.unlink(missing_ok=True)
    return None


def _carry_out(run: RemoteRun, report: ReportLine) -> Outcome:
    import torch

    torch.set_num_threads(run.threads)
    if not run.gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    _enter(run)
    for place in run.imports:
        import_parts(place)
    cell: Cell = pickle.loads(run.pickled)
    own = replace(cell, folder=_scratch_folder(cell)) if run.pulled else cell
    if not run.pulled:
        _require_shared(cell)
    _wait_for_writer(own.folder, report)
    failure = attempt(own, report, carrier(run.processes, run.threads, gpu=run.gpu))
    if failure is not None:
        return Outcome(failure.reason, _detail(own))
    if not run.pulled:
        return Outcome()
    packed = pack(own.folder)
    shutil.rmtree(own.folder, ignore_errors=True)
    return Outcome(packed=packed)


def _enter(run: RemoteRun) -> None:
    """Make relative paths those of the study; another machine may lack its folder."""
    try:
        os.chdir(run.working_folder)
    except OSError as error:
        if not run.pulled:
            raise _not_shared(run.working_folder) from error


def _require_shared(cell: Cell) -> None:
    """Refuse a machine on which the results would be lost."""
    if not cell.folder.parent.is_dir():
        raise _not_shared(cell.folder.parent.absolute())


def _not_shared(folder: Path) -> RunError:
    return RunError(
        f"machine {socket.gethostname()} does not see {folder}: put the study on storage that all "
        "machines share, or, with Ray, write ray: {results: pulled} in its file."
    )


def _scratch_folder(cell: Cell) -> Path:
    """Where a run is carried out that is sent back: the same place for a second try."""
    whole = str(cell.folder.absolute())
    name = hashlib.sha256(whole.encode()).hexdigest()[:16]
    root = Path(tempfile.gettempdir()) / f"rampart-{getpass.getuser()}"
    return root / name / cell.folder.name


def _wait_for_writer(folder: Path, report: ReportLine) -> None:
    """Wait until a process of a killed study, or of a lost machine, is surely gone."""
    end, waiting = time.monotonic() + GONE + RENEWED, False
    while time.monotonic() < end:
        places = (folder, *folder.glob("evaluations/*"))
        writer = next(filter(None, map(writer_of, places)), None)
        if writer is None:
            return
        if not waiting:
            report(f"waits for the end of {writer}")
        waiting = True
        time.sleep(1)


def _detail(cell: Cell) -> str:
    """The traceback in the error file of a run, below its name and reason."""
    try:
        return read_text(cell.error_file).partition("\n\n")[2]
    except OSError:
        return ""
