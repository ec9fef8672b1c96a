"""The engine that the command asks for, ready to carry out runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from rampart.experiments.engines.base import Engine
from rampart.experiments.engines.in_process import InProcess
from rampart.experiments.engines.options import RayOptions, RunResources
from rampart.experiments.engines.processes import Processes
from rampart.experiments.engines.ray_tasks import RayTasks
from rampart.experiments.ray_session import (
    Resources,
    fit_resources,
    ray_session,
    require_ray,
    resources_of_nodes,
)

EngineName = Literal["processes", "ray"]


@contextmanager
def open_engine(
    name: EngineName, workers: int | None, wanted: RunResources, ray: RayOptions
) -> Iterator[Engine]:
    """Yield an engine; what it has started ends with the block.

    Args:
        name: name of the engine.
        workers: largest number of runs at once; by default one in this process, and as many as fit
            on Ray.
        wanted: resources of one run; processes share those of this machine.
        ray: which cluster to use, and where results are written.

    Raises:
        MissingExtra: the package of the engine is not installed.
        InvalidArgument: one run asks for more than any machine has.
    """
    if name == "processes":
        yield Processes(workers) if workers and workers > 1 else InProcess()
        return
    require_ray("--engine ray")
    with ray_session(ray.address) as module:
        asked = Resources(wanted.cpus, wanted.gpus, workers)
        fitting = fit_resources(asked, resources_of_nodes(module), "resources.")
        yield RayTasks(module, fitting, ray.results == "pulled")
