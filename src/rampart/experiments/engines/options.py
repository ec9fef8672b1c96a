"""The keys of a study's file that say where its runs are carried out; they change no result."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class RunResources(BaseModel):
    """The resources of one run.

    Attributes:
        cpus: CPUs.
        gpus: GPUs, such as 0.5 for two runs on each; None for one where there is a GPU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: Annotated[int, Field(ge=1)] = 1
    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


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
