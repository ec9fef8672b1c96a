"""The accelerator of a run: device, precision, processes and trackers."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.tracking import get_available_trackers
from accelerate.utils import LoggerType, broadcast_object_list

from rampart.errors import InvalidArgument, RunError, UnknownName
from rampart.recipes.computing import computing, device_type
from rampart.recipes.config.run_config import RunConfig
from rampart.runs.lock import RequireHeld, do_nothing, only_writer


def make_accelerator(config: RunConfig, folder: Path | None = None) -> Accelerator:
    """Return the accelerator for this process: device, precision, processes and trackers."""
    found = computing(config).precision
    precision = "no" if found == "fp32" else found
    # Without a GPU accelerate forms a group of processes only if it is asked to use the CPU.
    cpu = device_type(config) == "cpu"
    _reset_other_settings(precision, cpu)
    trackers = list(config.training.trackers) if folder is not None else []
    _require_trackers(trackers)
    accelerator = Accelerator(
        mixed_precision=precision, cpu=cpu, log_with=trackers or None, project_dir=folder
    )
    _require_group(accelerator)
    return accelerator


def require_one_process(
    config: RunConfig, accelerator: Accelerator, *, checks_labels: bool = False
) -> None:
    """Refuse several processes for a part that needs every image in one process.

    Args:
        config: of the run.
        accelerator: of this process.
        checks_labels: whether the labels are checked without `data.labels=check`.

    Raises:
        InvalidArgument: names the part.
    """
    training, objective = config.training, config.components.objective
    for name, value, alone, why in (
        (
            "training.warm_start",
            True,
            training.warm_start and config.attacks,
            "each of several would know the perturbations of other images",
        ),
        (
            "objective",
            config.objective.name,
            objective.needs_guidance,
            "each of several would remember what it predicted for other images",
        ),
        (
            "data.labels",
            "check",
            checks_labels or config.data.labels == "check",
            "the heads that check the labels are fitted to all images at once",
        ),
    ):
        if alone and accelerator.num_processes > 1:
            got = f"{value} in {accelerator.num_processes} processes"
            do = "run it without `accelerate launch`, on one device"
            raise InvalidArgument(name, got, f"one process, because {why}", do)


@contextmanager
def preserve_accelerate_state() -> Iterator[None]:
    """Restore accelerate's process-wide state after the block; the caller may be using it."""
    kinds: tuple[Any, ...] = (PartialState, AcceleratorState, GradientState)
    saved = [dict(kind._shared_state) for kind in kinds]
    try:
        yield
    finally:
        for kind, state in zip(kinds, saved, strict=True):
            kind._shared_state.clear()
            kind._shared_state.update(state)


@contextmanager
def one_writer(folder: Path, accelerator: Accelerator) -> Iterator[RequireHeld]:
    """Let the processes of this run alone write a folder; the first one holds the lock.

    It yields the check that the lock is still held, which does nothing in the other processes.

    Raises:
        RunError: another process writes the folder; every process raises it.
    """
    with ExitStack() as held:
        refusal, require_held = None, do_nothing
        if accelerator.is_main_process:
            try:
                require_held = held.enter_context(only_writer(folder))
            except RunError as error:
                refusal = str(error)
        (refusal,) = broadcast_object_list([refusal])
        if refusal:
            raise RunError(refusal)
        yield require_held


def _reset_other_settings(precision: str, cpu: bool) -> None:
    """Reset accelerate's process-wide state if this run needs another device or precision."""
    if not AcceleratorState._shared_state:
        return
    state = AcceleratorState()
    if state.mixed_precision != precision or (state.device.type == "cpu") != cpu:
        AcceleratorState._reset_state(reset_partial_state=True)


def _require_trackers(names: list[str]) -> None:
    """Refuse a tracker that is unknown or not installed; accelerate would only warn."""
    known = [str(kind.value) for kind in LoggerType if kind is not LoggerType.ALL]
    for name in names:
        if name not in known:
            raise UnknownName("tracker", name, known)
        if LoggerType(name) not in get_available_trackers():
            extra = f"'rampart-rft[{name}]'" if name == "tensorboard" else name
            raise RunError(f"training.trackers: '{name}' is not installed: pip install {extra}.")


def _require_group(accelerator: Accelerator) -> None:
    """Refuse processes without a common group: they would overwrite each other's files."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != started:
        raise RunError(
            f"{started} processes were started, but accelerate formed a group of "
            f"{accelerator.num_processes}: set training.device=cpu to use several on the CPU."
        )
