"""A full disk is named as one, whichever library writes."""

import errno

import pytest
import torch
from safetensors import SafetensorError

from rampart.errors import RunError
from rampart.files import is_disk_full, replacing, writing_folder
from rampart.training.checkpoint import Checkpoint, CheckpointStore

TORCH = "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"
#: As the libraries report it.
FULL = (
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(
        errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space left on device"
    ),
    RuntimeError(TORCH),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    SafetensorError('IoError(Os { code: 28, kind: StorageFull, message: "No space" })'),
)
OTHER = (OSError(errno.EACCES, "Permission denied"), RuntimeError("shapes"), ValueError("code: 2"))


def fail(context, error):
    with context:
        raise error


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_is_named_by_every_writer(tmp_path, monkeypatch, error):
    for context in (replacing(tmp_path / "file"), writing_folder(tmp_path / "folder")):
        with pytest.raises(RunError, match=rf"{tmp_path}/.*: No space left") as caught:
            fail(context, error)
        assert "inline_container" not in str(caught.value)

    def full(*_):
        raise error

    for writer in ("torch.save", "rampart.training.checkpoint.save_file"):
        with monkeypatch.context() as patch:
            patch.setattr(writer, full)
            checkpoint = Checkpoint(1, {"a": torch.zeros(1)}, {}, {})
            with pytest.raises(RunError, match="step-.*No space left .* --resume"):
                CheckpointStore(tmp_path / "checkpoints").save(checkpoint)


@pytest.mark.parametrize("error", OTHER)
def test_other_errors_are_not_taken_for_a_full_disk(tmp_path, error):
    assert not is_disk_full(error)
    with pytest.raises((RunError, RuntimeError, ValueError)) as caught:
        fail(replacing(tmp_path / "file"), error)
    assert "No space" not in str(caught.value)
