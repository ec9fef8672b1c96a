"""The keys of a study's file that say where its runs are carried out; they change no result."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class RunResources(BaseModel):
    """The resources of one run.

    Attributes:
        cpus: CPUs, over all processes; None for one for each process.
        gpus: GPUs, such as 0.5 for two runs on each; None for one for each process where there is a
            GPU.
        processes: processes of accelerate that carry out the run together, on one machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: Annotated[int, Field(ge=1)] | None = None
    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    processes: Annotated[int, Field(ge=1)] = 1

    @property
    def all_cpus(self) -> int:
        """The CPUs of the run."""
        return self.cpus or self.processes


class RayOptions(BaseModel):
    """Ray's cluster.

    Attributes:
        address: address of the cluster, or "auto" for that of this machine; None for RAY_ADDRESS,
            and without this variable for Ray on this machine alone.
        results: "shared" if the study's folder is the same on all machines; "pulled" if each run
            is sent to the machine of the study when it is complete.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str | None = None
    results: Literal["shared", "pulled"] = "shared"


#: Options of sbatch by submitit's names, such as time (minutes), partition, account and mem.
SlurmOptions = dict[str, Any]
