"""Ray: started for a block, without a dashboard, a network or its own log lines."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rampart.counting import counted
from rampart.errors import InvalidArgument, RunError, reason
from rampart.extras import require_extra

#: Variables that Ray reads when it is imported or started.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Relative paths of data and outputs are those of the command.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Our folders hold the results.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # An interrupt stops the command at once; the folders of the runs are what it resumes from.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}
#: Objects are small; by default Ray reserves 30 % of the memory for them.
_OBJECT_STORE_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Resources:
    """The resources of a run, and how many runs there are at once.

    Attributes:
        cpus: CPUs of each run, which are also its threads.
        gpus: GPUs of each run, such as 0.5 for two runs on each; None for one where there is a GPU.
        workers: largest number of runs at once; None for as many as fit.
    """

    cpus: int = 1
    gpus: float | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("cpus", 1), ("workers", 1), ("gpus", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InvalidArgument(f"--{name}", value, f"{least} or more")


def require_ray(purpose: str, extra: str = "ray", module: str = "ray") -> None:
    """Import Ray, or one of its modules.

    Raises:
        MissingExtra: it is not installed, or cannot be imported.
    """
    _quieten()
    require_extra(module, extra, purpose)


@contextmanager
def ray_session(address: str | None = None) -> Iterator[Any]:
    """Start Ray on this machine and yield its module; at the end of the block, stop it.

    With an address, or the environment variable RAY_ADDRESS, the block uses that cluster instead.

    Raises:
        InvalidArgument: no cluster answers at the address.
        RunError: Ray does not start on this machine.
    """
    _quieten()
    import ray

    for name in ("ray", "ray.tune", "ray.train"):
        # A failed run is reported with its own reason.
        logging.getLogger(name).setLevel(logging.CRITICAL)

    with _own_signals():
        _connect(ray, address or os.environ.get("RAY_ADDRESS"))
    try:
        yield ray
    finally:
        ray.shutdown()


def _quieten() -> None:
    os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})


def _connect(ray: Any, address: str | None) -> None:
    """Connect to a cluster; without an address, start Ray on this machine alone."""
    quiet = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "configure_logging": False,
    }
    here = {
        "num_cpus": cpus_here(),
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }
    try:
        # Without "local" Ray connects to any cluster that was started on this machine.
        ray.init(address or "local", **quiet, **({} if address else here))
    # A busy machine, a full disk and a wrong address raise errors of many kinds.
    except Exception as error:
        ray.shutdown()
        if address:
            expected = f"the address of a Ray cluster that answers ({reason(error)})"
            do = "start one by `ray start --head`, or leave out the address to use this machine"
            raise InvalidArgument("address", address, expected, do) from error
        raise RunError(
            f"Ray does not start on this machine ({reason(error)}): run the same command again "
            "when the machine is less busy; a study also runs with --engine processes."
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Restore the handler of SIGTERM after the block: that of Ray aborts the process."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def cpus_here() -> int:
    """Return the number of CPUs that this process may use."""
    with suppress(AttributeError):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fit_resources(
    wanted: Resources,
    nodes: list[dict[str, float]],
    section: str = "--",
    *,
    default_gpus: int = 1,
) -> Resources:
    """Return the resources with all numbers filled in.

    Args:
        wanted: as the user gave them.
        nodes: resources of each machine by Ray's names, "CPU" and "GPU".
        section: what stands before the names of the resources in messages.
        default_gpus: GPUs of a run, where there are GPUs and the user gave no number.

    Raises:
        InvalidArgument: one run fits on no machine; it would wait forever.
    """
    cpus_name, gpus_name = f"{section}cpus", f"{section}gpus"
    largest = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    gpus = wanted.gpus if wanted.gpus is not None else default_gpus * min(1.0, largest)
    _require(cpus_name, wanted.cpus, max((n.get("CPU", 0.0) for n in nodes), default=0), "CPU")
    _require(gpus_name, gpus, largest, "GPU")
    fitting = sum(_fitting(node, wanted.cpus, gpus) for node in nodes)
    if not fitting:
        most = max(node.get("CPU", 0.0) for node in nodes if node.get("GPU", 0.0) >= gpus)
        _require(cpus_name, wanted.cpus, most, "CPU", " with such GPUs")
    return Resources(wanted.cpus, gpus, min(fitting, wanted.workers or fitting))


def resources_of_nodes(ray: Any) -> list[dict[str, float]]:
    """Return the resources of each machine of the cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _fitting(node: dict[str, float], cpus: float, gpus: float) -> int:
    """Return how many runs fit on a machine at once."""
    by_cpu = int(node.get("CPU", 0.0) // cpus)
    return by_cpu if gpus == 0 else min(by_cpu, int(node.get("GPU", 0.0) / gpus + 1e-9))


def _require(name: str, value: float, most: float, kind: str, where: str = "") -> None:
    if value > most:
        raise InvalidArgument(
            name,
            f"{value:g}",
            f"at most {counted(int(most), kind)}, all that the largest machine of Ray{where} has, "
            "because one run would wait forever",
            f"set {name} to {most:g} or less" if most else f"set {name} to 0",
        )
