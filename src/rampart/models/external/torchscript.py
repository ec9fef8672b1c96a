"""TorchScript programs."""

import warnings
from pathlib import Path

import torch

from rampart.errors import ModelError, reason
from rampart.models.external.fingerprints import file_fingerprint
from rampart.models.external.loaded import Function, LoadedModel, Wanted
from rampart.models.program_notes import NOTES, ProgramNotes
from rampart.models.weight_files import other_content


def load_torchscript(reference: str, wanted: Wanted) -> LoadedModel:
    """Return the program in a .torchscript file; it takes pixels in [0, 1] unless a mean is known.

    Open only files of people whom you trust, because torch compiles and runs their code.

    Raises:
        ModelError: the file cannot be opened, or the program fails on the images.
    """
    path, notes = Path(reference), {NOTES: ""}
    try:
        with warnings.catch_warnings():
            # Torch advises to export programs in another way, which does not help to open this one.
            warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
            program = torch.jit.load(  # type: ignore[no-untyped-call]  # torch
                path, wanted.device, _extra_files=notes
            )
    # Reading the archive and its code raises errors of many kinds.
    except Exception as error:
        why = other_content(path) if path.is_file() else None
        why = f"it {why}" if why else reason(error)
        raise ModelError(f"TorchScript program '{path}' cannot be opened ({why}).") from error
    known = ProgramNotes.read(notes[NOTES])
    own = known.input_size or (None, None, None)
    return wanted.examine(
        wanted.normalized(Function(program), own, known.mean, known.std),
        name=reference,
        source="torchscript",
        fingerprint=file_fingerprint(path),
        own_size=own,
        namings=known.namings(),
    )
