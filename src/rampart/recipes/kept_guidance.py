"""The guidance in the folder of a run: a resumed run takes it, whatever has changed around it."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rampart.checksums import LISTING, list_checksums, require_unchanged
from rampart.errors import RunError, reason
from rampart.files import require_file, why_unwritten, writing_folder

#: The file of the probabilities, and their name inside it.
FILE, _NAME = "guidance.safetensors", "probabilities"
_DO = "restore it, or restart the run with --overwrite"


def keep_guidance(guidance: Tensor, folder: Path) -> None:
    """Write guidance (N, K) with its checksum; guidance that is there stays.

    Raises:
        RunError: it cannot be written.
    """
    if folder.is_dir():
        return
    try:
        with writing_folder(folder) as scratch:
            save_file({_NAME: guidance.detach().cpu().contiguous()}, scratch / FILE)
            (scratch / LISTING).write_text(list_checksums(scratch, [FILE]), encoding="utf-8")
    # safetensors raises its own error when the disk is full.
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{folder / FILE} cannot be written ({why_unwritten(error)}): free some space or fix "
            "the permissions, then continue with --resume."
        ) from error


def kept_guidance(folder: Path, given: Tensor | None = None) -> Tensor | None:
    """Return the guidance (N, K) that a run began with; None if it has kept none.

    Args:
        folder: of the guidance.
        given: guidance that was passed to resume the run; it has to be the same.

    Raises:
        RunError: it cannot be read, does not match its checksum, or differs from that given.
    """
    if not folder.is_dir():
        return None
    require_unchanged(folder, _DO)
    try:
        require_file(folder / FILE)
        kept = load_file(folder / FILE)[_NAME]
    except Exception as error:
        raise RunError(
            f"guidance {folder / FILE} cannot be read ({reason(error)}): {_DO}."
        ) from error
    if given is not None and not torch.equal(given.cpu(), kept):
        raise RunError(
            f"the guidance is not the one that the run in {folder.parent} began with: pass that "
            "one or none, or train a new run in another --output."
        )
    return kept
