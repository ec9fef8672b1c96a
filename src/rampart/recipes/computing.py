"""How a run computes on its device: what `auto` stands for."""

from dataclasses import dataclass
from typing import Literal

import torch

from rampart.data.memory import cores_here
from rampart.errors import InvalidArgument
from rampart.recipes.config.run_config import RunConfig

#: More processes that decode images hardly help one GPU.
MOST_WORKERS = 8

Numbers = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Computing:
    """The settings of a run that depend on its device, without `auto`.

    Attributes:
        precision: of the network in training steps and their attacks.
        channels_last: whether images and weights have the layout (N, H, W, C) in memory.
        tf32: whether fp32 products may be rounded to TF32 in training steps.
        fused: whether the optimizer updates all weights in one kernel.
    """

    precision: Numbers
    channels_last: bool
    tf32: bool
    fused: bool


def computing(config: RunConfig) -> Computing:
    """Return how a run computes on this machine.

    On an NVIDIA GPU with bf16 (Ampere or later) `auto` is bf16, channels last, TF32 and the fused
    optimizer; on another NVIDIA GPU, only the fused optimizer. On a CPU and on other devices `auto`
    changes nothing.

    Raises:
        InvalidArgument: fp16 on a CPU.
    """
    device, training = device_type(config), config.training
    nvidia = device == "cuda"
    modern = nvidia and has_bf16()

    def chosen(value: bool | Literal["auto"], automatic: bool) -> bool:
        return automatic if value == "auto" else value

    precision: Numbers = "bf16" if modern else "fp32"
    if training.precision != "auto":
        precision = training.precision
    if precision == "fp16" and device == "cpu":
        raise InvalidArgument("training.precision", "fp16", "auto, fp32 or bf16 on a CPU")
    return Computing(
        precision,
        channels_last=chosen(training.channels_last, modern),
        tf32=chosen(training.tf32, modern),
        fused=chosen(config.optimizer.fused, nvidia),
    )


def decoding_workers(config: RunConfig) -> int:
    """Return the number of processes that decode images for this one.

    A GPU leaves the cores of the CPU to them; on a CPU they would take those that train.
    """
    if config.data.workers != "auto":
        return config.data.workers
    return 0 if device_type(config) == "cpu" else min(MOST_WORKERS, cores_here() - 1)


def device_type(config: RunConfig) -> str:
    """Return the kind of device that a run is on, such as "cpu" or "cuda"."""
    if config.training.device == "cpu" or not torch.accelerator.is_available():
        return "cpu"
    found = torch.accelerator.current_accelerator()
    return "cpu" if found is None else found.type


def has_bf16() -> bool:
    """Return whether the GPU multiplies bf16 numbers itself."""
    return torch.cuda.is_bf16_supported(including_emulation=False)
