"""The engine that the command asks for, ready to carry out runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rampart.errors import InvalidArgument
from rampart.experiments.engines.base import Engine
from rampart.experiments.engines.dividing import (
    gpus_on_this_machine,
    require_enough,
    require_on_this_machine,
)
from rampart.experiments.engines.in_process import InProcess
from rampart.experiments.engines.launcher import carrier
from rampart.experiments.engines.options import RayOptions, RunResources, SlurmOptions
from rampart.experiments.engines.processes import Processes
from rampart.experiments.engines.ray_tasks import RayTasks
from rampart.experiments.engines.slurm import SlurmJobs, make_executor, require_slurm
from rampart.experiments.ray_session import (
    Resources,
    fit_resources,
    ray_session,
    require_ray,
    resources_of_nodes,
)
from rampart.experiments.study_folder import SLURM

EngineName = Literal["processes", "ray", "slurm"]


@dataclass(frozen=True)
class Wanted:
    """What the file of a study and the command say about the engine.

    Attributes:
        resources: of one run; by default the engine `processes` shares those of this machine.
        ray: which cluster to use, and where results are written.
        slurm: options of sbatch.
        workers: largest number of runs at once; by default one in this process, and as many as fit
            on a cluster.
        detach: leave the runs to SLURM.
    """

    resources: RunResources = field(default_factory=RunResources)
    ray: RayOptions = field(default_factory=RayOptions)
    slurm: SlurmOptions = field(default_factory=dict)
    workers: int | None = None
    detach: bool = False


@contextmanager
def open_engine(name: EngineName, wanted: Wanted, output: Path) -> Iterator[Engine]:
    """Yield an engine; what it has started ends with the block.

    Args:
        name: name of the engine.
        wanted: what is asked of it.
        output: folder of the study.

    Raises:
        MissingExtra: the package of the engine is not installed.
        InvalidArgument: one run asks for more than any machine has, or an option does not fit.
        RunError: this machine cannot reach the cluster.
    """
    resources, workers = wanted.resources, wanted.workers
    require_enough(resources)
    if wanted.detach and name != "slurm":
        expected = "--engine slurm, because other engines end with the command"
        raise InvalidArgument("--detach", f"--engine {name}", expected)
    if name == "processes":
        yield _on_this_machine(resources, workers or 1)
        return
    if name == "slurm":
        require_slurm()
        executor = make_executor(output.absolute() / SLURM, resources, wanted.slurm, workers)
        yield SlurmJobs(executor, resources, wanted.detach)
        return
    require_ray("--engine ray")
    with ray_session(wanted.ray.address) as module:
        asked = Resources(resources.all_cpus, resources.gpus, workers)
        count, nodes = resources.processes, resources_of_nodes(module)
        fitting = fit_resources(asked, nodes, "resources.", default_gpus=count)
        yield RayTasks(module, fitting, wanted.ray.results == "pulled", count)


def _on_this_machine(resources: RunResources, workers: int) -> Engine:
    """Return the engine `processes`.

    A run of one process that gets less than this one has needs a process of its own.
    """
    require_on_this_machine(resources)
    count, threads, gpu = resources.processes, resources.cpus, resources.gpus != 0
    if count > 1:
        gpu = gpus_on_this_machine(resources, workers) > 0
    if workers > 1 or (count == 1 and (threads or not gpu)):
        return Processes(workers, count, gpu, threads)
    return InProcess(carrier(count, threads, gpu=gpu))
