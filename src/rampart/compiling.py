"""A network that torch.compile runs, in place: its type and its weights' names stay.

The attack switches off the gradients of the parameters outside of the network, so the compiled code
never sees the switch. Torch then keeps one program for the training step and one for the attack
(see pytorch issue 139476 for what goes wrong inside).
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rampart.deferred import torch
from rampart.errors import InvalidArgument

if TYPE_CHECKING:
    from torch import nn

#: Turns the traced network into kernels.
BACKEND = "inductor"
#: Programs that torch keeps for one network: each mode, each shape of a batch, with and without
#: gradients of the weights, in the run, its pilot and its clean baseline.
PROGRAMS = 64


def require_compiler(device: torch.device, key: str) -> None:
    """Refuse to compile on a machine that lacks the tools.

    Args:
        device: of the network.
        key: the setting that asks for it.

    Raises:
        InvalidArgument: no C++ compiler for a CPU, or no Triton for a GPU.
    """
    if BACKEND != "inductor":
        return
    found: object = find_spec("triton")
    lacks, do = "Triton", "pip install triton"
    if device.type == "cpu":
        names = (os.environ.get("CXX"), "g++", "clang++", "cl")
        found = next((name for name in names if name and shutil.which(name)), None)
        lacks, do = "a C++ compiler", "install g++"
    if not found:
        raise InvalidArgument(
            key, True, f"false, because torch.compile needs {lacks} on {device.type}", do
        )


def compile_in_place(network: nn.Module) -> None:
    """Let torch compile a network at its next calls, each shape of a batch by itself."""
    # Beyond its limit torch would run the network without compiling it.
    limits = torch._dynamo.config
    limits.recompile_limit = max(limits.recompile_limit, PROGRAMS)
    # Torch looks at the gradient of each input, which pixels inside a larger graph do not have.
    warnings.filterwarnings(
        "ignore", message=r"The \.grad attribute of a Tensor that is not a leaf"
    )
    network.compile(backend=BACKEND, dynamic=False)


def is_compiled(network: object) -> bool:
    """Return whether torch compiles a network, in place or as a wrapper."""
    in_place = getattr(network, "_compiled_call_impl", None) is not None
    return in_place or hasattr(network, "_orig_mod")


@contextmanager
def eagerly(network: nn.Module) -> Iterator[None]:
    """Do not compile a network inside the block, for calls of many shapes."""
    compiled = network._compiled_call_impl
    network._compiled_call_impl = None
    try:
        yield
    finally:
        network._compiled_call_impl = compiled
