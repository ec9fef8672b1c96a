"""Whether runs can be divided among several processes; refused before anything starts."""

from collections.abc import Iterable

from rampart.counting import counted
from rampart.errors import InvalidArgument
from rampart.experiments.cells import Cell
from rampart.experiments.engines.options import RunResources
from rampart.experiments.ray_session import cpus_here
from rampart.recipes.build import require_equal_parts


def require_enough(resources: RunResources) -> None:
    """Refuse resources that do not give every process of a run what it needs.

    Raises:
        InvalidArgument: fewer CPUs than processes, or GPUs that are not one for each.
    """
    count, gpus = resources.processes, resources.gpus
    if resources.all_cpus < count:
        raise InvalidArgument(
            "resources.cpus",
            resources.all_cpus,
            f"at least one CPU for each of the {counted(count, 'process')} of a run",
            f"set resources.cpus to {count} or more, or leave it out",
        )
    if count > 1 and gpus not in (None, 0, count):
        raise InvalidArgument(
            "resources.gpus",
            f"{gpus:g}",
            f"one whole GPU for each of the {count} processes of a run, or none",
            f"set resources.gpus to {count}, to 0 for the CPU, or leave it out",
        )


def require_on_this_machine(resources: RunResources) -> None:
    """Refuse a run that asks for more than this machine has.

    Raises:
        InvalidArgument: more CPUs or GPUs.
    """
    import torch

    wanted = (("cpus", "CPU", cpus_here()), ("gpus", "GPU", torch.cuda.device_count()))
    for name, kind, most in wanted:
        value = getattr(resources, name) or 0
        if value > most:
            raise InvalidArgument(
                f"resources.{name}",
                f"{value:g}",
                f"at most {counted(most, kind)}, all that this machine has",
                f"write --{name} {most}, or change it in the file",
            )


def require_divisible(processes: int, cells: Iterable[Cell]) -> None:
    """Refuse a run whose batches do not divide into equal parts, one for each process.

    Raises:
        InvalidArgument: the batch size is not a multiple of the processes.
    """
    if processes > 1:
        for cell in cells:
            require_equal_parts(cell.config, processes)


def gpus_on_this_machine(resources: RunResources, workers: int) -> int:
    """Return the GPUs of a run of several processes; 0 for the CPU.

    Raises:
        InvalidArgument: this machine has too few GPUs, or several runs would share them.
    """
    import torch

    here = torch.cuda.device_count()
    gpus = resources.processes if resources.gpus is None and here else int(resources.gpus or 0)
    if gpus > here:
        raise InvalidArgument(
            "resources.processes" if resources.gpus is None else "resources.gpus",
            gpus,
            f"at most {counted(here, 'GPU')}, all that this machine has",
            "set resources.gpus to 0 to train on the CPU",
        )
    if gpus and workers > 1:
        do = "use --engine ray, which gives every run GPUs of its own"
        expected = "1 if each run has several GPUs, because the runs would share them"
        raise InvalidArgument("--workers", workers, expected, do)
    return gpus
