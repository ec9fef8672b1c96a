"""The facts that an exported file carries beside its program, and programs alone do not state."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: Name of the note: a file in the archive of torch, or a key among the properties of ONNX.
NOTES = "rampart.json"


@dataclass(frozen=True)
class ProgramNotes:
    """Facts about an exported program.

    Attributes:
        class_names: of its logits; () if they are unknown.
        input_size: channels, height and width of its images; None if unknown.
        mean: of each channel, if the program takes normalized images.
        std: of each channel, likewise.
        resize: how its images become squares, "crop" or "squash".
    """

    class_names: Sequence[str] = ()
    input_size: Sequence[int] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    resize: str = "crop"

    def text(self) -> str:
        """Return the notes as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def namings(self) -> list[Sequence[str]]:
        """Return the lists of names of the logits: one, or none."""
        return [self.class_names] if self.class_names else []

    @classmethod
    def read(cls, text: str | bytes | None) -> "ProgramNotes":
        """Return the notes in a file; empty ones for a file that Rampart has not written."""
        try:
            found: Any = json.loads(text or "{}")
            return cls(**found)
        # Another program may use the same name.
        except (ValueError, TypeError):
            return cls()
