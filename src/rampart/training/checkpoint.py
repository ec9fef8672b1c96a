"""Checkpoints: one folder each, moved into place when it is complete; only the newest stays.

`checkpoints/step-00000046/` holds `model.safetensors`, `optimizer.pt` (tensors only, so reading it
runs no code), `state.json` (plain values: progress, schedules) and the `checksums.json` of all
three.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rampart.checksums import LISTING, list_checksums, require_unchanged
from rampart.errors import RunError, reason
from rampart.files import (
    intended_name,
    read_text,
    remove,
    require_file,
    why_unwritten,
    writing_folder,
)

#: Files of a checkpoint; what they hold see above.
FILES = ("model.safetensors", "optimizer.pt", "state.json")
_DO = "restore it, or restart the run with --overwrite"


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to resume exactly.

    Attributes:
        step: number of finished optimizer steps.
        model: the model's state dict.
        optimizer: the state dicts that hold tensors (optimizer, gradient scaler, hooks).
        state: everything else, as plain JSON values.
    """

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    state: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one run, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, move it into place, then delete the older ones.

        Raises:
            RunError: it cannot be written; the older one stays.
        """
        target = self.folder / f"step-{checkpoint.step:08d}"
        self._delete_unfinished()
        with writing_folder(target) as scratch:
            _write(checkpoint, scratch, target)
            older = self._complete()
            if target.exists():
                # The same step again: the old one stays readable until the new one is in place.
                aside = target.with_name(f"{target.name}-old")
                target.replace(aside)
                older = [aside if folder == target else folder for folder in older]
        for folder in older:
            remove(folder)

    def latest(self) -> Checkpoint | None:
        """Read the newest complete checkpoint; None without one.

        Raises:
            RunError: the newest checkpoint cannot be read, or does not match its checksums.
        """
        complete = self._complete()
        if not complete:
            return None
        folder = complete[-1]
        require_unchanged(folder, _DO)
        try:
            for name in FILES:
                require_file(folder / name)
            state = json.loads(read_text(folder / "state.json"))
            return Checkpoint(
                step=state.pop("step"),
                model=load_file(folder / "model.safetensors"),
                optimizer=torch.load(
                    folder / "optimizer.pt", map_location="cpu", weights_only=True
                ),
                state=state,
            )
        except Exception as error:
            raise RunError(
                f"checkpoint {folder} cannot be read ({reason(error)}): {_DO}."
            ) from error

    def _delete_unfinished(self) -> None:
        """Delete what a run that was killed during a write has left; it may be large."""
        for folder in self.folder.glob(".*"):
            if intended_name(folder).startswith("step-"):
                remove(folder)

    def _complete(self) -> list[Path]:
        """Return all complete checkpoints, the newest last; "-old" comes before its successor."""
        found = self.folder.glob("step-*") if self.folder.exists() else ()
        return sorted(found, key=lambda f: (f.name.removesuffix("-old"), "-old" not in f.name))


def _write(checkpoint: Checkpoint, folder: Path, target: Path) -> None:
    # safetensors refuses tensors that share memory or are not contiguous.
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.model.items()}
    state = {"step": checkpoint.step, **checkpoint.state}
    try:
        save_file(tensors, folder / "model.safetensors")
        torch.save(checkpoint.optimizer, folder / "optimizer.pt")
        (folder / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        (folder / LISTING).write_text(list_checksums(folder, FILES), encoding="utf-8")
    # Both libraries raise their own errors when the disk is full.
    except (OSError, RuntimeError, SafetensorError) as error:
        raise RunError(
            f"checkpoint {target} cannot be written ({why_unwritten(error)}): free some space or "
            "fix the permissions, then continue with --resume."
        ) from error
